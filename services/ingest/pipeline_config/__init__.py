"""The pipeline config of TensorFlow's Object Detection API in a source: read, and compared with the run."""
