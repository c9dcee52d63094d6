"""Best checkpoint → SavedModel and TFLite; an export that detects something else is refused."""
