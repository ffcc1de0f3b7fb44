"""Commands on objects: listing, copying, reading, removing."""
