"""The values of a plan that are chosen from the dataset."""
