"""Object storage: one interface, a local folder, and S3."""
