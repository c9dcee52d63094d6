"""Objects of an installation: the custom resource and its Secrets."""
