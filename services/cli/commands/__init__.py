"""The work of each command, in a module of its name."""
