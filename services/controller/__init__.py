"""The operator: turns TrainingRuns into Kubernetes Jobs."""
