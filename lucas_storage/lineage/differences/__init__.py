"""How the contents of two artifacts differ, by what they are. Bounded in what is read, and nothing is unpickled."""
