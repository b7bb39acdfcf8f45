"""The commands: one module each, found by :mod:`pushforward.cli.entry`."""
