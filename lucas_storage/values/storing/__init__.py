"""Results on their way out of a function."""
