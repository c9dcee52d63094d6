"""Pretrained weights that a Python package of the environment contains, converted for Model Garden."""
