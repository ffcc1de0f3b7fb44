"""The client's session with the controller: messages sent, calls and fetches under way, and their answers."""
