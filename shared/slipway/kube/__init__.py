"""Access to the Kubernetes API, for the API server of an installation and its controller."""
