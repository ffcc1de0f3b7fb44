"""The methods of `AsyncStorageClient`, generated."""
