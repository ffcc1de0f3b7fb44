"""References as text: the rules of their fields, and how a URI is read."""
