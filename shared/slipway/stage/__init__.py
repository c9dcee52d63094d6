"""The process around a stage: environment, signals, logs, progress, exit code."""
