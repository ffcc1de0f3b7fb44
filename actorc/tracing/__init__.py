"""Traces of OpenTelemetry: spans, and the set-up of processes that belong to this package."""
