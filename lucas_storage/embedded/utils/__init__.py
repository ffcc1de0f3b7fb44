"""Functions that Lucas's own scripts import from `lucas.utils`."""

from __future__ import annotations

from lucas_storage.embedded.utils.config import get_function_container_config

__all__ = ["get_function_container_config"]
