"""A run: its specification, its plan, and the order of its stages."""
