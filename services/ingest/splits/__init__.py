"""The split of every image: the source's own, or a partition."""
