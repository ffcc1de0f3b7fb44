"""The face for programs of the same user on the same machine, over a Unix socket."""
