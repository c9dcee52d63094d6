"""TrainingRun → Kubernetes Jobs, one reconcile function."""
