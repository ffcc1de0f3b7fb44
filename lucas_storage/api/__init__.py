"""Routes of the JSON API about runs, artifacts and names, which the server finds by an entry point."""
