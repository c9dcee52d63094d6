"""Initial checkpoints that clients send: uploads and listings."""
