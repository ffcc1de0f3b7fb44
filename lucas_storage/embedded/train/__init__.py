"""Pipelines of functions that train a model."""
