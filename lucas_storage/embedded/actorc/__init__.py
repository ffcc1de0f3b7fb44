"""The actor platform, under the name that it has in Lucas."""
