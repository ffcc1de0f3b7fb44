"""The operations of the service as typed calls, one group in each module."""
