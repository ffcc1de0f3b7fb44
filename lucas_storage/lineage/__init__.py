"""Which step took what from which: as a graph, and the graph as a drawing."""
