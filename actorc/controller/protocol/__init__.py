"""Encoding of messages that the client and the embedded controller share."""
