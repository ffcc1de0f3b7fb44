"""Sets up OpenTelemetry as its own variables say, in processes that belong to this package: servers, workers, commands.

A program of the user sets it up itself, or is started by ``opentelemetry-instrument``.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

log = logging.getLogger(__name__)

SERVER: Final = "lucas-storage"
WORKER: Final = "lucas-worker"
COMMAND: Final = "lucas-storage-cli"
"""Names of the services that processes of this package are, unless a variable names another."""

_LAST_SECONDS: Final = 3.0
"""Seconds for the last export of a process that ends."""
_WANTED: Final = "OTEL_TRACES_EXPORTER"
_OFF: Final = "OTEL_SDK_DISABLED"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_BY_PROTOCOL: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


def set_up(service: str) -> None:
    """Trace this process if ``OTEL_TRACES_EXPORTER`` names an exporter and nothing is set up yet; else do nothing.

    What cannot be set up is logged as a warning, and the process goes on without it.

    Args:
        service: Name of the service, unless ``OTEL_SERVICE_NAME`` or ``OTEL_RESOURCE_ATTRIBUTES`` name it.
    """
    names = [name.strip() for name in os.environ.get(_WANTED, "").split(",")]
    names = [name for name in names if name not in ("", "none")]
    if not names or os.environ.get(_OFF, "").strip().lower() == "true":
        return
    try:
        _set_up(names, service)
    except ModuleNotFoundError as error:
        log.warning(
            "%s asks for traces, and %s is not installed; pip install 'lucas-storage[otel]'", _WANTED, error.name
        )
    except Exception as error:  # noqa: BLE001  # exporters raise what they like, and nothing stops for a trace
        log.warning("there are no traces, as %s=%s asks for, because of %s", _WANTED, ",".join(names), error)


def _set_up(names: list[str], service: str) -> None:
    from opentelemetry import trace  # noqa: PLC0415  # most processes trace nothing
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    exporters = [_exporter(name) for name in names]
    # not by its own hook at the end, which waits for an exporter that finds no collector as long as that tries
    provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _LastExport(provider.shutdown)


class _LastExport:
    """Exports what is left when the process ends, and waits for it for a limited time.

    The thread for it exists from the beginning, since none can be started any more at the end.
    """

    def __init__(self, shut_down: Callable[[], None]) -> None:
        self._shut_down = shut_down
        self._process = os.getpid()
        self._begin, self._end = threading.Event(), threading.Event()
        # daemon: a collector that does not answer holds it for longer than the end of a process may take
        threading.Thread(target=self._run, name="trace-end", daemon=True).start()
        atexit.register(self._wait)

    def _run(self) -> None:
        self._begin.wait()
        try:
            self._shut_down()
        except Exception as error:  # noqa: BLE001  # the process has done its work
            log.warning("the last spans of this process may be missing, because of %s", error)
        finally:
            self._end.set()

    def _wait(self) -> None:
        self._begin.set()
        # a forked child has no such thread
        if os.getpid() == self._process:
            self._end.wait(_LAST_SECONDS)


def _resource(service: str) -> Any:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    found = Resource.create()
    # what the variables say comes first; without them the SDK says `unknown_service`
    if not str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        return found
    return found.merge(Resource({"service.name": service}))


def _exporter(name: str) -> Any:
    """Return a new exporter.

    Raises:
        LookupError: None of this name is installed.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415

    wanted = _BY_PROTOCOL.values() if name == "otlp" else [name]
    protocol = next((value for each in _PROTOCOLS if (value := os.environ.get(each))), "")
    if name == "otlp" and protocol:
        wanted = [_BY_PROTOCOL.get(protocol, protocol)]
    for each in sorted(wanted, reverse=True):
        for found in entry_points(group="opentelemetry_traces_exporter", name=each):
            return found.load()()
    raise LookupError(f"no exporter {' or '.join(wanted)!r}; pip install 'lucas-storage[otel]', or name another one")
