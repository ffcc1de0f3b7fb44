"""Calls in a process of their own, which is killed with all that it started when the call is late."""
