"""Presets, schemas, version and health."""
