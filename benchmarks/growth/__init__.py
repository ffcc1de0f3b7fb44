"""How costs grow with size, objects, clients, workers and readers: each module yields the points of its charts."""
