"""Scrub, garbage collection, check and repair of a data directory."""
