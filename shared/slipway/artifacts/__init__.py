"""The JSON documents through which stages, command, controller and API exchange what they know: one model for each."""
