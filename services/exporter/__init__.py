"""Best checkpoint → SavedModel and TFLite, refused unless they are the same model."""
