"""HTTP servers for workflows."""
