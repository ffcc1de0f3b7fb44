"""Local files: locks, copies, ownership and mode, wrong sizes, seekable reads."""
