"""Functions on their way to workers: what stands in their place, how they are pickled, and their source."""
