"""Initial checkpoints: found by their address, checked without TensorFlow, and kept in the store."""
