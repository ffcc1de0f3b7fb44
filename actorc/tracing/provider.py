"""The provider of spans that the program has set up, if it has; found without importing OpenTelemetry."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from actorc.version import version

if TYPE_CHECKING:
    from opentelemetry import trace as api

log = logging.getLogger(__name__)

_API: Final = "opentelemetry.trace"
"""The module that a program which traces has imported."""
_SCOPE: Final = "lucas-storage"
"""Name of the instrumentation."""
_UNHEARD_SECONDS: Final = 60.0

_stuck: threading.Thread | None = None
"""The thread whose export was not waited for to its end; in a forked child it counts as ended."""
_has_told = False
"""Whether an error of a part of the program's OpenTelemetry was logged; each span would tell the same again."""
_unheard_until = 0.0
"""Monotonic seconds until which no exporter is waited for; set without a lock: threads that set it at once agree."""
_kept: tuple[api.TracerProvider, api.Tracer] | None = None
"""The provider of the program and its tracer; one name, so that threads see both or none."""
_has_asked = False
"""Whether OpenTelemetry was asked for a provider, which makes it load the one that a variable may name."""


def tracer() -> api.Tracer | None:
    """Return the tracer of the program; None if it has not set one up."""
    module: Any = sys.modules.get(_API)
    if module is None or _is_idle(module):
        return None
    try:
        return _present_tracer(module)
    except Exception as error:  # noqa: BLE001  # providers are the program's choice and raise what they like
        tell(error)
        return None


def tell(error: Exception) -> None:
    """Log what a part of the program's OpenTelemetry has raised, the first time."""
    global _has_told  # noqa: PLW0603
    if not _has_told:
        _has_told = True
        log.warning(
            "the OpenTelemetry of this program raised %s: %s; spans may be missing, and this is not told again",
            type(error).__name__,
            error,
        )


def _is_idle(module: Any) -> bool:
    """Return whether OpenTelemetry has no provider, by a private name of it.

    The public function reads the environment each time, which takes longer than all else here.
    """
    return _has_asked and getattr(module, "_TRACER_PROVIDER", module) is None


def _present_tracer(module: Any) -> api.Tracer | None:
    global _has_asked, _kept  # noqa: PLW0603
    # the name is missing while another thread imports the module
    find = getattr(module, "get_tracer_provider", None)
    if find is None:
        return None
    provider = find()
    _has_asked = True
    kept = _kept
    if kept is None or kept[0] is not provider:
        # a proxy stands for a provider that may come later
        if isinstance(provider, (module.ProxyTracerProvider, module.NoOpTracerProvider)):
            return None
        _kept = kept = provider, provider.get_tracer(_SCOPE, version())
    return kept[1]


def flush(seconds: float) -> None:
    """Export what has ended, for a process that may be killed next; wait for `seconds` at most.

    Where that was not enough, no exporter is waited for within the next minute: work goes on without a collector.
    """
    global _stuck, _unheard_until
    # a thread that has not come back is within an exporter, and so would be the next one
    if tracer() is None or time.monotonic() < _unheard_until or (_stuck is not None and _stuck.is_alive()):
        return
    # on a thread of its own, since an exporter tries again for longer than it is told to
    flushing = threading.Thread(target=_flush, args=(int(seconds * 1000),), name="trace-flush", daemon=True)
    flushing.start()
    flushing.join(seconds)
    if flushing.is_alive():
        _stuck, _unheard_until = flushing, time.monotonic() + _UNHEARD_SECONDS


def _flush(milliseconds: int) -> None:
    from opentelemetry.trace import get_tracer_provider  # noqa: PLC0415

    try:
        force = getattr(get_tracer_provider(), "force_flush", None)
        if force is not None:
            force(milliseconds)
    except Exception as error:  # noqa: BLE001  # likewise
        tell(error)
