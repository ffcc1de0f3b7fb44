"""Many small objects of one bucket, looked up and put by few statements."""
