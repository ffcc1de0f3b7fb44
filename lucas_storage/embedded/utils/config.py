"""The provider of functions, from the environment."""

from __future__ import annotations

import os

PROVIDER_VARIABLE = "provider"
DEFAULT_PROVIDER = "local-once"


def get_function_container_config() -> dict[str, str]:
    """Return `{"provider": …}`: the variable `provider` of the environment, else `local-once`."""
    return {"provider": os.environ.get(PROVIDER_VARIABLE, DEFAULT_PROVIDER)}
