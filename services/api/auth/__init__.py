"""Authentication, roles, browser sessions and the audit log."""
