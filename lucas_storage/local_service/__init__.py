"""The local server of a data directory: joined if it runs, else started."""
