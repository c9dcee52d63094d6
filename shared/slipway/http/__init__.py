"""The common parts of all HTTP servers: authentication, limits, problems and the request log."""
