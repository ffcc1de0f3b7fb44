"""Processes of a server: start, workers, ports, shutdown."""
