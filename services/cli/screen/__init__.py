"""Progress bars, tables and JSON lines in the terminal."""
