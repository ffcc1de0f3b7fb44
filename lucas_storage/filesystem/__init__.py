"""The file system of `fsspec` over a store: ``lucas://bucket/key``."""
