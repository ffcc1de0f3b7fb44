"""The methods of `StorageClient`, one group of operations in each module."""
