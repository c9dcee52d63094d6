"""Dataset → CSV and TFRecord shards, without TensorFlow."""
