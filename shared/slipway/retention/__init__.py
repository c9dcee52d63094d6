"""Removal of runs, datasets, records and uploads that are kept too long."""
