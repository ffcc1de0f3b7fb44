"""The code of a worker process."""
