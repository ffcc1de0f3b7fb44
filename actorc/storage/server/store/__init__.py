"""The rules of object storage, over any engine."""
