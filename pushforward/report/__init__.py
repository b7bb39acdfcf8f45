"""Pictures, progress and reports."""
