"""References and inline values on their way into a function."""
