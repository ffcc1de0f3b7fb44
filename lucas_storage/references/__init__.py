"""References: the rules of their fields, how a URI is read, and how one finds the handle of its store."""
