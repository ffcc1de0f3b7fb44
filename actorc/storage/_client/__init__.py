"""The methods of `StorageClient`, a family of verbs in each module."""
