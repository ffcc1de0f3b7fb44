"""What happens in a step: its arguments, its contract, its key."""
