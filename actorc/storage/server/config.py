"""The options of a server."""

# ruff: noqa: RUF009  # the functions that declare options return fields

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from actorc.addresses import parse
from actorc.storage.errors import InvalidParameterError
from actorc.storage.rules import check_http_endpoint

from .listen_address import numeric_address

DEFAULT_HTTP_PORT: Final = 9001
LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
KEYS_FILE: Final = "keys.json"
"""Name of the file of access keys in a data directory."""


def _option(section: str, made: Any, metavar: str, meaning: str, **served: Any) -> Any:
    """Return a field with its description for the command line, the configuration file and the documents.

    Args:
        section: Section of the configuration file.
        made: Default of `ServerOptions`.
        metavar: Placeholder of a value; its unit, if it has one.
        meaning: One sentence.
        served: ``default`` of the command that serves, if it is another one.
    """
    description = {"section": section, "metavar": metavar, "meaning": meaning, "default": made}
    return field(default=made, metadata=description | served)


_storage, _network, _access, _capacity, _logging = (
    partial(_option, section) for section in ("storage", "network", "access", "capacity", "logging")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of one server, checked when made.

    Raises:
        InvalidParameterError: A value is invalid, or `listen` is reachable from other machines and there are no
            access keys.
    """

    data: Path | None = _storage(None, "DIR", "Directory of the embedded engine.")
    engine: str = _storage("", "URL", "Another engine instead, such as s3://BUCKET or memory://.")
    auto_create_buckets: bool | None = _storage(
        made=False,
        metavar="",
        meaning="Whether a write to a bucket that does not exist makes it, for whoever may write there; if not given, "
        "while there are no access keys.",
        default=None,
    )
    upload_ttl: float = _storage(
        7 * 24 * 60 * 60.0, "SECONDS", "A multipart upload that receives no part for this long is removed."
    )
    scrub_days: float = _storage(
        30.0, "DAYS", "All that is stored is read once and verified within this time; 0 for never."
    )
    quarantine_days: float = _storage(
        7.0, "DAYS", "Files that the index does not know are kept for this long before removal."
    )
    listen: str = _network(
        "127.0.0.1:9000",
        "HOST:PORT",
        "Where gRPC is served; a loopback address if there are no access keys. Port 0 finds one.",
    )
    http: str = _network(
        "off",
        "HOST:PORT",
        "Where presigned URLs and pages about the server are served, under the same rule; a port alone has the host of "
        f"--listen; off is nowhere, auto port {DEFAULT_HTTP_PORT} if aiohttp is installed and the port is free, "
        "on-demand a port that is found when the first URL is asked for.",
        default="auto",
    )
    public_http_url: str = _network(
        "", "URL", "Where --http is reached, such as https://storage.example.org, if not at its address."
    )
    local: bool = _network(
        made=True,
        metavar="",
        meaning="Whether programs of the same user on this machine may use a Unix socket instead, which they find by "
        "the port.",
    )
    keys: Path | None = _access(
        None, "FILE", f"Access keys; if not given, {KEYS_FILE} in the data directory if it is there."
    )
    tls_cert: Path | None = _access(None, "FILE", "Certificate of the server, with those behind it, PEM.")
    tls_key: Path | None = _access(None, "FILE", "Its private key, PEM.")
    tls_client_ca: Path | None = _access(None, "FILE", "Clients need a certificate signed by one of these, PEM.")
    workers: int = _capacity(1, "N", "Processes that serve the same ports and the same data directory.")
    threads: int = _capacity(64, "N", "Calls that run at the same time, in each process.")
    reserved: int = _capacity(
        8, "N", "Threads that uploads and downloads never take, so that small calls are always answered."
    )
    queue: int = _capacity(256, "N", "Small calls that may wait for a thread; more are refused at once.")
    idle_timeout: float = _capacity(60.0, "SECONDS", "A transfer whose client does nothing for this long is ended.")
    grace: float = _capacity(10.0, "SECONDS", "Running calls have this long to finish when the server stops.")
    log_format: str = _logging(
        "text", "FORMAT", "How the log on standard error is written: text for people, or json, one object a line."
    )
    log_level: str = _logging(
        "",
        "LEVEL",
        "The least level that is logged: debug, info, warning or error. The access log has info.",
        default="info",
    )
    access_log: bool = _logging(made=True, metavar="", meaning="Whether each call is logged when it has ended.")
    metrics_buckets: int | None = _logging(
        None,
        "N",
        "How many buckets /metrics names, the largest first; the others are one. If not given, 20 while there are no "
        "access keys and none with them, since whoever reaches the page may read it.",
    )

    def __post_init__(self) -> None:
        if bool(self.engine) == (self.data is not None):
            raise InvalidParameterError(
                "a server needs either a data directory or the URL of an engine; give --data or --engine"
            )
        if not 1 <= self.reserved < self.threads:
            raise InvalidParameterError("threads must be more than reserved, and reserved at least 1")
        if self.queue < 0 or self.idle_timeout <= 0 or self.grace < 0:
            raise InvalidParameterError("queue and grace must not be negative, and idle_timeout must be positive")
        if self.workers < 1 or self.upload_ttl <= 0 or min(self.scrub_days, self.quarantine_days) < 0:
            raise InvalidParameterError(
                "workers must be at least 1, upload_ttl positive, scrub_days and quarantine_days not negative; "
                "leave them out if unsure"
            )
        if (self.tls_cert is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_cert):
            raise InvalidParameterError("TLS needs the certificate of the server and its key; give both files")
        if self.metrics_buckets is not None and self.metrics_buckets < 0:
            raise InvalidParameterError("metrics_buckets must not be negative; 0 names no bucket")
        if self.keys and not self.keys.is_file():
            raise InvalidParameterError(
                f"the file of access keys {self.keys} does not exist; make it with 'lucas-storage keys add'"
            )
        _check_one_of("log_format", self.log_format, LOG_FORMATS)
        # empty: that of the process which starts the server
        _check_one_of("log_level", self.log_level, ("", *LOG_LEVELS))
        loopback_only = not (self.keys_file and self.keys_file.exists())
        numeric_address(self.listen, loopback_only=loopback_only)
        if self.http != "off":
            numeric_address(self.http_address, loopback_only=loopback_only)
        if self.public_http_url:
            check_http_endpoint(self.public_http_url, "--public-http-url")

    @property
    def engine_url(self) -> str:
        """URL of the engine."""
        return self.engine if self.data is None else self.data.absolute().as_uri()

    @property
    def http_address(self) -> str:
        """``HOST:PORT`` for HTTP, where port 0 finds one; empty for nowhere. A port alone has the host of `listen`."""
        if self.http == "off":
            return ""
        port = {"auto": str(DEFAULT_HTTP_PORT), "on-demand": "0"}.get(self.http, self.http.removeprefix(":"))
        return f"{parse(self.listen, listening=True)._replace(port=0)}"[:-1] + port if port.isdecimal() else self.http

    @property
    def keys_file(self) -> Path | None:
        """The file of access keys, which may not exist yet; None: there can be none."""
        return self.keys or (self.directory and self.directory / KEYS_FILE)

    @property
    def directory(self) -> Path | None:
        """The data directory; None if the engine has none."""
        return self.data or _directory(self.engine)

    @property
    def max_streams(self) -> int:
        """Uploads and downloads that run at the same time."""
        return self.threads - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Resources that the processes of one server share."""

    lock: int
    """Inherited descriptor of the lock on the engine's medium."""
    url_key: bytes = field(repr=False)
    """Key that signs the URLs of a server without access keys."""
    metrics: Path | None = None
    """Directory of the numbers of all processes; None: each has its own."""
    socket: int | None = None
    """Inherited descriptor of the Unix socket that they listen on together; None: there is none."""
    was_closed: bool = False
    """Whether the server had access keys before this process of it began."""


def _check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidParameterError(f"{name} must be one of {', '.join(filter(None, known))}, not {value!r}")


def _directory(engine: str) -> Path | None:
    if "://" not in engine:
        return Path(engine)
    url = urlsplit(engine)
    return Path(unquote(url.path)) if url.scheme == "file" else None
