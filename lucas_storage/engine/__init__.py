"""The seam to a workflow engine: Lucas, or the embedded one."""
