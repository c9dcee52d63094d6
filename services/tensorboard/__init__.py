"""Event files in the store → curves and images on TensorBoard's pages."""
