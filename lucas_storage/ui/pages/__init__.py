"""Pages as functions of what was read for them. Pure: no calls, no files, no clock."""
