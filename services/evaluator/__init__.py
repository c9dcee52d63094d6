"""Checkpoints → COCO metrics, beside the trainer."""
