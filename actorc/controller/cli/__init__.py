"""Commands that the controller adds to the command line; `lucas-storage` finds them by their entry points."""
