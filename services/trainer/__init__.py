"""Shards and preset → checkpoints and TensorBoard events."""
