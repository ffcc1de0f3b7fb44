"""The local server of a user: its files in the data directory, its ports, and how programs find it."""
