"""The stage that turns a dataset into CSV tables and TFRecord shards, without TensorFlow."""
