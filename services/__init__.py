"""The services, one folder each. A service never imports another: they exchange documents in the object store."""
