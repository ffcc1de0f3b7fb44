"""The SQLite index of the durable engine."""
