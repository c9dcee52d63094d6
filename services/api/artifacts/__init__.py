"""Artifacts of a run: listing and downloads."""
