"""Workflows behind HTTP."""
