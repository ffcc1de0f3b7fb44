"""Faults of a real storage server: of its network, its disk, its clock, and of the server itself."""
