"""Steps: one call of a decorated function, its arguments, its contract and its key."""
