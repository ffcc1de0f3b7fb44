"""The beginning of an artifact, found without loading all of it, opening a pickle or importing a class."""
