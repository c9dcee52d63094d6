"""Datasets: uploads, archives and listings."""
