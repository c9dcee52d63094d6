"""The stage that turns images with annotations into a dataset: checked, partitioned and addressed by its content."""
