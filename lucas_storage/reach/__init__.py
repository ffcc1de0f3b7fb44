"""What artifacts refer to, directly or through others."""
