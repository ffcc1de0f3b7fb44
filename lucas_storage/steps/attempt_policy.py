"""How often a step is attempted, with what pauses in between, and how long one attempt may take."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, Self, TypedDict

_BACKOFF: Final = 1.0
_LONGEST: Final = 300.0
"""Seconds of the longest pause: what has not come back after minutes is not found earlier by waiting for hours."""


class ShippedPolicy(TypedDict):
    """A policy in pickles."""

    retries: int
    backoff: float
    timeout: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPolicy:
    """The options ``retries``, ``backoff`` and ``timeout`` of a step."""

    retries: int = 0
    """Attempts after the first one."""
    backoff: float = _BACKOFF
    """Seconds before the first of them, at most; twice as many before each further one."""
    timeout: float | None = None
    """Seconds that each attempt may take; None for any number."""

    @classmethod
    def of_options(cls, options: dict[str, Any]) -> Self:
        """Return the policy that the options of a decorator ask for; those that are missing or None are the defaults.

        Raises:
            TypeError: One of them is of the wrong type.
            ValueError: One of them has an impossible value.
        """
        retries, backoff, timeout = (options.get(name) for name in ("retries", "backoff", "timeout"))
        return cls(
            retries=0 if retries is None else _count(retries),
            backoff=_BACKOFF if backoff is None else _seconds("backoff", backoff, may_be_zero=True),
            timeout=None if timeout is None else _seconds("timeout", timeout, may_be_zero=False),
        )

    @classmethod
    def from_shipped(cls, form: ShippedPolicy | None) -> Self:
        """Return the policy that plain data stands for; None is that of functions without these options."""
        return cls() if form is None else cls(**form)

    def shipped(self) -> ShippedPolicy:
        """Return the policy as plain data."""
        form: ShippedPolicy = asdict(self)  # type: ignore[assignment]  # the same names
        return form

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt that failed, counted from 1.

        At random between half and the whole of the time, so that steps that failed together do not come back together.
        """
        # Compared as exponents, since the power itself may be larger than every float.
        doublings = min(attempt - 1, 64)
        return min(self.backoff * 2.0**doublings, _LONGEST) * random.uniform(0.5, 1)  # noqa: S311  # no secret


def _count(value: object) -> int:
    # By exact type: True as a number of retries is a mistake.
    if type(value) is not int:
        raise TypeError(f"with_storage takes retries as int, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"retries is a number from 0 up, not {value}; 0 attempts the function once")
    return value


def _seconds(name: str, value: object, *, may_be_zero: bool) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    elif type(value) not in (int, float):
        kind = type(value).__name__
        raise TypeError(f"with_storage takes {name} as seconds or a timedelta, not {kind}")
    least = "from 0 up" if may_be_zero else "greater than 0"
    found = _finite(value)
    if found is None or found < 0 or (not found and not may_be_zero):
        raise ValueError(f"{name} is a number of seconds {least}, not {value}; leave it out for the default")
    return found


def _finite(value: Any) -> float | None:
    try:
        found = float(value)
    except OverflowError:  # an int beyond every float
        return None
    return found if math.isfinite(found) else None


ONCE: Final = AttemptPolicy()
"""The policy of a step without these options."""
