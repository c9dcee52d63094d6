"""The API's access to TrainingRuns in Kubernetes."""
