"""Calls: attempts, retries, deadlines, endpoints, and the operations of the service as typed calls."""
