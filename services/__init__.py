"""What runs: one folder per service. A service never imports another; they meet only in the object store."""
