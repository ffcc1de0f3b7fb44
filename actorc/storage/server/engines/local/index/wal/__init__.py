"""The write-ahead log of the index, a file of SQLite: what is in it, and its room."""
