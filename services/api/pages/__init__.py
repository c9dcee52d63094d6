"""The HTML pages of the API."""
