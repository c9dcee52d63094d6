"""The format of TensorFlow checkpoints, read without TensorFlow."""
