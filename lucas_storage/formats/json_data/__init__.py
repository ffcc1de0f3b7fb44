"""Data as JSON text, and what JSON lacks."""
