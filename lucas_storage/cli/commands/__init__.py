"""The commands of `lucas-storage`, related ones in one module; importing them loads neither gRPC nor the server."""
