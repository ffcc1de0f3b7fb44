"""Environment variables that are set for a while, and afterwards are as they were."""

from __future__ import annotations

import os


class Variables:
    """Environment variables that `set` and `unset` changed and `restore` restores. For one thread at a time."""

    def __init__(self) -> None:
        self._present: dict[str, str | None] = {}
        self._before: dict[str, str | None] = {}

    def set(self, name: str, value: str) -> None:
        """Set a variable; children of this process inherit it."""
        self._change(name, value)

    def unset(self, name: str) -> None:
        """Remove a variable, if there is one."""
        self._change(name, None)

    def restore(self) -> None:
        """Give each variable the value that it had at first, or remove it; one changed by others stays as it is."""
        for name in [each for each in self._present if os.environ.get(each) != self._present[each]]:
            del self._present[name], self._before[name]
        for name, value in self._before.items():
            _put(name, value)

    def set_again(self) -> None:
        """Make all changes again after `restore`, from the values that the variables have now."""
        self._before.clear()
        for name, value in self._present.items():
            self._change(name, value)

    def clear(self) -> None:
        """Forget, after `restore`, all changes."""
        self._present.clear()
        self._before.clear()

    def _change(self, name: str, value: str | None) -> None:
        self._before.setdefault(name, os.environ.get(name))
        self._present[name] = value
        _put(name, value)


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
