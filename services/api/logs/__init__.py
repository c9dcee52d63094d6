"""Logs, events and metrics of a run, saved or streamed."""
