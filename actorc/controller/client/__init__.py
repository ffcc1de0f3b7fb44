"""A session with the controller: what is sent, what is under way, and what comes back."""
