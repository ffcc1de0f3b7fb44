"""Files of the durable engine: blobs, their trailers, the data directory."""
