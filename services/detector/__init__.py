"""Exported model → detections and drawn images."""
