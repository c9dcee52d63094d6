"""Runs: submission, lists, actions."""
