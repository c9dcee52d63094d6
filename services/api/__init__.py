"""The HTTP API: datasets, runs, artifacts, pages."""
