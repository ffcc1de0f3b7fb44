"""Artifacts: how bytes are stored under their digest, found, fetched and cached."""
