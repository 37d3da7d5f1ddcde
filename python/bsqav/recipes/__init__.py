"""Recipes: Python functions that return the full configuration of a training run."""
