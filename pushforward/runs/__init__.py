"""What a user holds: a run, its directory, and the functions that make one."""
