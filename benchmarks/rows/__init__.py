"""What is measured: each module declares cases, and yields them while the services they need are running."""
