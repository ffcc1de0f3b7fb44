"""Transfers that commands make."""
