"""The contract of storage engines, as tests for authors of an engine; needs pytest and Hypothesis.

A class in a test module takes the cases, and says what they are about::

    from actorc.storage.testing.contract import EngineContract


    class TestMyEngine(EngineContract):
        lacks = {"retention", "ttl"}

        def open_engine(self, directory):
            return MyEngine(directory)

They are the same that the engines of this package pass, through the same faces.
"""

from __future__ import annotations

try:
    import hypothesis  # noqa: F401 - the cases import it; without it, the same is to be said
    import pytest
except ModuleNotFoundError as error:
    message = f"the contract of an engine needs {error.name}; pip install 'lucas-storage[contract]'"
    raise ModuleNotFoundError(message, name=error.name) from error

# before the cases are imported: a failed assertion shows its values, as in a test module
pytest.register_assert_rewrite(f"{__name__}.cases")

from .engine_contract import EngineContract  # noqa: E402 - see above

__all__ = ["EngineContract"]
