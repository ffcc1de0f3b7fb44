"""The index of runs by artifact: its entries, and those of runs that wrote none."""
