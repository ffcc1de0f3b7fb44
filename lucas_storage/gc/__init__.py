"""Garbage collection of artifacts."""
