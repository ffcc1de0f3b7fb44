"""Online backup of a data directory into a directory of snapshots, and the way back."""
