"""The methods of `AsyncStorageClient`, a family of verbs in each module."""
