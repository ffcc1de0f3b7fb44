"""The commands of `lucas-storage`, one module per group; importing them loads neither gRPC nor the server."""
