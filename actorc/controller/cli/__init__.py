"""What the controller adds to the command line; `lucas-storage` finds it by its entry points."""
