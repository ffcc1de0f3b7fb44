"""Environment variables that are set for a while, and afterwards are as they were."""

from __future__ import annotations

import os


class Variables:
    """Environment variables that `set` changed and `restore` restores. For one thread at a time."""

    def __init__(self) -> None:
        self._present: dict[str, str] = {}
        self._before: dict[str, str | None] = {}

    def set(self, name: str, value: str) -> None:
        """Set a variable; children of this process inherit it."""
        self._before.setdefault(name, os.environ.get(name))
        self._present[name] = value
        os.environ[name] = value

    def restore(self) -> None:
        """Give each variable the value that it had before `set`, or remove it; one changed since then stays so."""
        for name in [each for each in self._present if os.environ.get(each) != self._present[each]]:
            self._forget(name)
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    def set_again(self) -> None:
        """Set after `restore` what `set` had set, on top of the values that the variables have now."""
        self._before.clear()
        for name, value in self._present.items():
            self.set(name, value)

    def clear(self) -> None:
        """Forget, after `restore`, all that was set."""
        self._present.clear()
        self._before.clear()

    def _forget(self, name: str) -> None:
        del self._present[name], self._before[name]
