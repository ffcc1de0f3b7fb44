"""Bindings of the platform to Lucas: functions, classes, executor and runtime."""
