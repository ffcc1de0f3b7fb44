"""Calls that come together travel together: those that wait for each other go to the server in one message."""
