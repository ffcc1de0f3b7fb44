"""Files that a server on this machine passes to its client, and takes from it."""
