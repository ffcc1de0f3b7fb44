"""Transfers of `cp` and `sync`: sources, destinations, safe local paths, and the queue that runs them."""
