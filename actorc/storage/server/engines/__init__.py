"""Storage engines: one folder each, and the URLs that name them."""

from .engine_url import BackgroundWork, open_engine, share_engine

__all__ = ["BackgroundWork", "open_engine", "share_engine"]
