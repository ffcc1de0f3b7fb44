"""Where artifacts come from, what was made from them, and what keeps them."""
