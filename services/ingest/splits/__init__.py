"""The split of each image: the source's own, or a partition."""
