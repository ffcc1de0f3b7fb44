"""Annotations: read from types and from text, shipped to workers, and shown in errors."""
