"""Prometheus collectors for pods, stages and runs."""
