"""URLs of object stores: which store, and how it is reached. They contain no secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from actorc import _http_proxies
from actorc.storage.errors import InvalidParameterError, StorageError

from .key_layout import KeyLayout
from .object_store import Backend, TimeLimits

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_DEFAULT_TIMEOUT: Final = 15.0
_CONNECT_TIMEOUT: Final = 5.0
_COMMON_PARAMETERS: Final = ("timeout", "staging", "redirect")
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("endpoint", "region", *_COMMON_PARAMETERS),
    "gs": ("endpoint", *_COMMON_PARAMETERS),
    "az": ("endpoint", *_COMMON_PARAMETERS),
    "remote+memory": ("staging",),
}
_CREDENTIALS: Final[Mapping[str, str]] = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
    "remote+memory": "",
}
_ENDPOINTS: Final[Mapping[str, tuple[str, ...]]] = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
"""Variables with the address of a store, as Amazon's own programs read them, the first that is set."""
_FLAGS: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """The parsed URL of a store.

    Raises:
        InvalidParameterError: `of` raises it for any other URL.
    """

    scheme: str
    bucket: str
    root: str = ""
    """Prefix of all names; with a slash at the end, if it is not empty."""
    endpoint: str = ""
    region: str = ""
    timeout: float = _DEFAULT_TIMEOUT
    """Seconds."""
    staging: str | None = None
    redirect: bool = True
    """Whether requests with a presigned URL are redirected to the store."""

    @classmethod
    def of(cls, url: SplitResult) -> StoreUrl:
        """Return the parsed URL."""
        parameters = _query(url)
        root = unquote(url.path).strip("/")
        if url.scheme == "remote+memory":
            if url.netloc or root:
                raise InvalidParameterError("remote+memory:// has no address; write it with nothing behind it")
        elif not url.netloc or "@" in url.netloc or ":" in url.netloc:
            raise InvalidParameterError(
                f"a {url.scheme} URL names a bucket and no credentials, which would be logged; write "
                f"{url.scheme}://BUCKET and give credentials in {_CREDENTIALS[url.scheme]}"
            )
        # refuses a prefix that the store cannot hold
        KeyLayout().object("bucket", root or "root")
        return cls(
            scheme=url.scheme,
            bucket=url.netloc,
            root=root and f"{root}/",
            endpoint=_endpoint(parameters.get("endpoint", "") or _endpoint_of_environment(url.scheme)),
            region=parameters.get("region", ""),
            timeout=_seconds(parameters.get("timeout", str(_DEFAULT_TIMEOUT))),
            staging=_directory(parameters.get("staging")),
            redirect=_flag(parameters.get("redirect", "yes")),
        )

    @property
    def place(self) -> str:
        """Name of the store in messages."""
        return f"{self.scheme}://{self.bucket}" + (f" at {self.endpoint}" if self.endpoint else "")

    @property
    def credentials(self) -> str:
        """The usual environment variables with its credentials."""
        return _CREDENTIALS[self.scheme]

    @property
    def is_durable(self) -> bool:
        """Whether objects outlive the process."""
        return self.scheme != "remote+memory"

    def connect(self) -> Backend:
        """Return a connection to the store, over which no request was made yet.

        Raises:
            StorageError: obstore does not accept this URL, or the environment.
        """
        probed = KeyLayout(self.root).markers
        if self.scheme == "remote+memory":
            memory = MemoryStore()
            return Backend(lambda _patience: memory, self.timeout, probed=probed)
        return Backend(self._connected, self.timeout, probed=probed)

    def _client_config(self, limits: TimeLimits) -> ClientConfig:
        client: ClientConfig = {
            "allow_http": self.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(_CONNECT_TIMEOUT, self.timeout)),
            "timeout": timedelta(seconds=limits.whole),
        }
        host = _host(self.endpoint)
        if host and _http_proxies.leads_here(host):
            # A proxy of the environment is for other machines. obstore ignores the environment if a proxy is given, and
            # this one is never used, since the only host that is called is excluded.
            client |= {"proxy_url": self.endpoint, "proxy_excludes": host}
        if limits.silence is not None:
            client["read_timeout"] = timedelta(seconds=limits.silence)
        return client

    def _connected(self, limits: TimeLimits) -> ObjectStore:
        # clients retry, too: obstore must not take longer than one attempt of theirs
        retry: RetryConfig = {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=self.timeout),
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 2},
        }
        endpoint = "base_url" if self.scheme == "gs" else "endpoint"
        config = {name: value for name, value in ((endpoint, self.endpoint), ("region", self.region)) if value}
        try:
            store: ObjectStore = _STORES[self.scheme](
                self.bucket, config=config, client_options=self._client_config(limits), retry_config=retry
            )
        except Exception as error:  # obstore has no common base of what it raises here
            raise StorageError(
                f"the {self.scheme} store cannot be set up; look at its URL and the variables of the environment"
            ) from error
        return store


_STORES: Final[Mapping[str, Callable[..., Any]]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}


def _query(url: SplitResult) -> dict[str, str]:
    known = _PARAMETERS[url.scheme]
    parameters = dict(parse_qsl(url.query, keep_blank_values=True))
    unknown = sorted(parameters.keys() - set(known))
    if unknown or url.fragment:
        raise InvalidParameterError(
            f"a {url.scheme} URL has no {unknown[0] if unknown else 'fragment'!r}; behind the question mark it knows "
            f"{', '.join(known)}"
        )
    return parameters


def _endpoint_of_environment(scheme: str) -> str:
    # obstore reads it, too, but then refuses http, and a proxy of the environment would stand before this machine
    return next(filter(None, map(os.environ.get, _ENDPOINTS.get(scheme, ()))), "")


def _endpoint(text: str) -> str:
    if not text:
        return ""
    scheme, found, place = text.partition("://")
    if scheme not in {"http", "https"} or not found or "@" in place or not _host(text):
        raise InvalidParameterError(
            "the endpoint of a store begins with http:// or https:// and holds no credentials; correct it in the "
            "URL, or in AWS_ENDPOINT_URL"
        )
    return text.rstrip("/")


def _host(url: str) -> str:
    """Return the host of a URL, an IPv6 address without brackets; an empty string if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidParameterError(f"the timeout of a store is 1 to 3600 seconds, not {text!r}; correct it")
    return seconds


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise InvalidParameterError(f"redirect is yes or no, not {text!r}; correct it")
    return _FLAGS[text]


def _directory(text: str | None) -> str | None:
    if text is not None and not Path(text).is_dir():
        raise InvalidParameterError(f"the staging directory {text} is not there; make it, or leave it out")
    return text
