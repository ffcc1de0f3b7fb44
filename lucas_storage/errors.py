"""The errors of the plugin.

::

    StorageError
    └── ArtifactError                adds ref, function, param
        ├── ArtifactNotFoundError    also NotFoundError
        ├── DigestMismatchError      also IntegrityError
        ├── InvalidRefError          also InvalidParameterError
        ├── SettingsError            also InvalidParameterError
        │   └── UnknownStoreError
        ├── NoFormatError            also InvalidParameterError
        ├── UnknownFormatError       also UnsupportedError
        ├── MissingDependencyError   also UnsupportedError
        ├── UnsafeFormatError        also PermissionError
        ├── DecodeError
        │   └── LimitError
        ├── EmptyUpstreamError
        ├── CacheError
        │   ├── CacheRefusedError    also PermissionError
        │   └── CacheFullError       also ResourceExhaustedError
        ├── BundleError              also IntegrityError
        ├── PolicyError              also IntegrityError
        ├── CacheKeyError            also InvalidParameterError
        ├── VersionTakenError        also AlreadyExistsError
        ├── FunctionLoadError
        ├── StepProcessError
        └── StepTimeoutError         also TimeoutError

Lucas shows an error to its caller as the text up to the next colon, so every message begins with a complete clause
without one. None of these crosses the storage wire; they add no wire reasons.
"""

from __future__ import annotations

from typing import Any, Protocol

from actorc.storage.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidParameterError,
    NotFoundError,
    PermissionError,
    ResourceExhaustedError,
    StorageError,
    UnsupportedError,
)

__all__ = [
    "ArtifactError",
    "ArtifactNotFoundError",
    "BundleError",
    "CacheError",
    "CacheFullError",
    "CacheKeyError",
    "CacheRefusedError",
    "DecodeError",
    "DigestMismatchError",
    "EmptyUpstreamError",
    "FunctionLoadError",
    "IntegrityError",
    "InvalidParameterError",
    "InvalidRefError",
    "LimitError",
    "MissingDependencyError",
    "NoFormatError",
    "NotFoundError",
    "PolicyError",
    "ResourceExhaustedError",
    "SettingsError",
    "StepProcessError",
    "StepTimeoutError",
    "StorageError",
    "UnknownFormatError",
    "UnknownStoreError",
    "UnsafeFormatError",
    "UnsupportedError",
    "VersionTakenError",
]
# `PermissionError` is not among what an asterisk imports, as it hides the builtin one


class Reference(Protocol):
    """The attributes that errors use of `lucas_storage.ArtifactRef`, whose module stands in a layer above this one."""

    @property
    def bucket(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def uri(self) -> str: ...


class ArtifactError(StorageError):
    """Any failure of the plugin itself.

    Attributes:
        ref: The `lucas_storage.ArtifactRef` concerned, if one is.
        function: Name of the workflow function concerned; may be filled in while the error passes the boundary.
        param: Name of its parameter concerned; likewise.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        *,
        ref: Reference | None = None,
        function: str | None = None,
        param: str | None = None,
        **fields: Any,
    ) -> None:
        # So that handlers of `StorageError`, which know of no references, find bucket and key where they look for them.
        if ref is not None:
            bucket, key = bucket or ref.bucket or None, key or ref.key or None
        super().__init__(message, code, bucket, key, **fields)
        self.ref = ref
        self.function = function
        self.param = param

    def __str__(self) -> str:
        # Built when it is shown: function and parameter become known only on the way up.
        names = ((f"parameter {self.param!r}", self.param), (f"{self.function!r}", self.function))
        place = " of ".join(text for text, given in names if given)
        # Within the text and after its code, so that what is before the first colon, which Lucas shows, has the names.
        text = super().__str__()
        head = f"[{self.code}] "
        return f"{head}{place}, {text.removeprefix(head)}" if place else text


class ArtifactNotFoundError(NotFoundError, ArtifactError):
    """The store no longer holds what a reference names."""


class DigestMismatchError(IntegrityError, ArtifactError):
    """Bytes do not match the digest in their reference; they were not decoded."""


class InvalidRefError(InvalidParameterError, ArtifactError, code="InvalidRef"):
    """A text or dict that claims to be a reference is none."""


class SettingsError(InvalidParameterError, ArtifactError, code="Settings"):
    """A setting cannot be used; the message names the variable, file or argument it came from."""


class UnknownStoreError(SettingsError, code="UnknownStore"):
    """A reference names a store for which this process has no endpoint."""


class NoFormatError(InvalidParameterError, ArtifactError, code="NoFormat"):
    """A value cannot be stored, or not in the format asked for."""


class UnknownFormatError(UnsupportedError, ArtifactError, code="UnknownFormat"):
    """A reference names a format that is not installed here."""


class MissingDependencyError(UnsupportedError, ArtifactError, code="MissingDependency"):
    """A format needs a package that is not installed; the message names the extra that brings it."""


class UnsafeFormatError(PermissionError, ArtifactError, code="UnsafeFormat"):
    """A format that can run code was refused: denied, unsigned, or signed with another key."""


class DecodeError(ArtifactError, code="Decode"):
    """Verified bytes could not be turned back into a value here."""


class LimitError(DecodeError, code="Limit"):
    """Verified bytes would take more memory, files or levels than `lucas_storage.limits` allows."""


class BundleError(IntegrityError, ArtifactError, code="Bundle"):
    """A file is no bundle of a run, is damaged, or was changed; or a run does not fit into one."""


class EmptyUpstreamError(ArtifactError, code="EmptyUpstream"):
    """A parameter arrived empty, as after a failed upstream step."""


class CacheError(ArtifactError, code="Cache"):
    """The directory of local copies cannot be used; nothing is wrong with the artifact."""


class CacheRefusedError(PermissionError, CacheError, code="CacheRefused"):
    """The directory of local copies is another user's, or may be written to by others, or is closed to this process."""


class CacheFullError(ResourceExhaustedError, CacheError, code="CacheFull"):
    """The disk of local copies is full; nothing partial was left there."""


class CacheKeyError(InvalidParameterError, ArtifactError, code="CacheKey"):
    """A call cannot be told apart from others by its inputs, so nothing can be kept for it."""


class VersionTakenError(AlreadyExistsError, ArtifactError, code="VersionTaken"):
    """A version of a name is published already, with other content."""


class PolicyError(IntegrityError, ArtifactError, code="Policy"):
    """What collections keep cannot be known, since the policy of a store is damaged or of a later version."""


class FunctionLoadError(ArtifactError, code="FunctionLoad"):
    """The user's function could not be unpickled on the worker; ``__cause__`` says why."""


class StepProcessError(ArtifactError, code="StepProcess"):
    """The process of a step with a time limit ended without a result, or with an error that cannot be pickled."""

    raised_remotely = True


class StepTimeoutError(ArtifactError, TimeoutError, code="StepTimeout"):
    """A step took longer than its ``timeout=``; `seconds` says how long that is."""

    raised_remotely = True

    def __init__(self, message: str, *args: Any, seconds: float = 0.0, **fields: Any) -> None:
        super().__init__(message, *args, **fields)
        self.seconds = seconds
