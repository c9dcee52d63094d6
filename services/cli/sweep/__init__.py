"""Sweeps: runs that differ in a few values, of which the best on val is chosen."""
