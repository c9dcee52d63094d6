"""Runs on this machine: processes and a folder."""
