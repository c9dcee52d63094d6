"""Runs: submit, list, read and act."""
