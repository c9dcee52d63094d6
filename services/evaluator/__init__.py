"""Checkpoints → COCO metrics and the best checkpoint; runs beside the trainer."""
