"""Local runs: the stages are processes, the store is a folder."""
