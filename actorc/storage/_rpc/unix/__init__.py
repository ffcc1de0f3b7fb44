"""Calls over a Unix socket, to a server of the same user on the same machine."""
