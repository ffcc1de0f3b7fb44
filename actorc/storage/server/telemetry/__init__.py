"""Access log, metrics, and the calls in flight."""
