"""Values: references into values before a step, and values into references after it."""
