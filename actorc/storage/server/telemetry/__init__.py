"""Access log, metrics, and the calls under way."""
