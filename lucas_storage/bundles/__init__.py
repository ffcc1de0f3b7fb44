"""Runs as files: a bundle is one ZIP with the records of a run and every artifact that it reaches."""
