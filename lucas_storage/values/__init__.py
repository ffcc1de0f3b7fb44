"""Values on their way into a step and out of it."""
