"""Records beside artifacts: runs, names, memos, checkpoints."""
