"""HTTP: datasets, runs, artifacts, pages."""
