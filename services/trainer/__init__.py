"""Records and preset → checkpoints and event files."""
