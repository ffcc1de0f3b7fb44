"""One step of a past run, run again alone, on the very inputs that it had, without leaving anything in a store."""
