"""Annotated images: their boxes, labels and source folder."""
