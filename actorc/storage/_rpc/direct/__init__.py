"""Calls without a transport, to a server in this process."""
