"""A run on this machine: processes and a folder."""
