"""The output of commands: progress, summaries, previews, errors and exit codes."""
