"""Changes of the index: many in one transaction, and each once, however often its call is repeated."""
