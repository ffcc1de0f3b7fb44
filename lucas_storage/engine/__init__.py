"""The interface to a workflow engine, Lucas or the embedded one, and the scheduler that runs its graphs."""
