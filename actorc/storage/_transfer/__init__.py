"""Transfers of files and streams, in parts and resumable."""
