"""In place of RocketMQ's client, whose native library is on no package index; on the path of workers in tests alone."""
