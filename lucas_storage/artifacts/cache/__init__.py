"""The local cache of artifacts."""
