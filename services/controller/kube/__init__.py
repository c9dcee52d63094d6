"""The controller's access to the Kubernetes API."""
