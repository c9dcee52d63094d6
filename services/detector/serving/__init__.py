"""Exported models over HTTP: an image in, boxes or the drawn image out."""
