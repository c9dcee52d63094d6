"""Prometheus metrics that several processes share."""
