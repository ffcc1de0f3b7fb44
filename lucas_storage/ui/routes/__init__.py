"""Reads what each page shows, with the rights of the user who started the program."""
