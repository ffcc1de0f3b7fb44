"""One session with a controller: its stream, its messages, and the calls under way."""
