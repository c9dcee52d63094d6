"""Event files in the store → curves and images in TensorBoard."""
