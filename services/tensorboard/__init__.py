"""TensorBoard, which shows the event files in the store as curves and images."""
