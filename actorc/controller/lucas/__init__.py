"""What binds the platform to Lucas: its functions, classes, executor and runtime."""
