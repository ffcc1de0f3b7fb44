"""Completion in shells: the scripts that shells load, and the candidates for what is being typed."""

from typing import Final

VARIABLE: Final = "_LUCAS_STORAGE_COMPLETE"
"""Variable with which a shell asks; its name is click's rule."""
