"""The client of an installation's HTTP API."""
