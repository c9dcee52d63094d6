"""Exported model → detections and pictures with boxes."""
