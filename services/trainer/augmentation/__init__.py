"""Augmentation of training images that Model Garden does not have."""
