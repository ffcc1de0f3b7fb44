"""Other products that install from a package index, and the servers they talk to; each is left out if it is missing."""
