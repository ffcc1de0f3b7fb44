"""The server of a directory: joined, or started."""
