"""What pages and notebooks show: texts of strangers made harmless, and elements of HTML."""
