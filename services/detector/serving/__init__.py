"""Exported models over HTTP: image → boxes, or the drawn image."""
