"""The service as its descriptor names it, and the headers and trailers of its calls that other modules do not own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb

SERVICE: Final = pb.DESCRIPTOR.services_by_name["StorageService"]
PREFIX: Final = f"/{SERVICE.full_name}/"
"""The full name of a method without its own."""
ATTEMPT_KEY: Final = "x-attempt"
TRAILERS_KEY: Final = "x-acs-trailers"
"""The header by which a client tells, with the value `OF_FAILURES`, that it looks at no others."""
OF_FAILURES: Final = "failed"
DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailer with the serialized `Status` of a call that failed."""
ATTRIBUTES: Final[Mapping[str, str]] = {"rpc.system.name": "grpc"}
"""Attributes that the spans of all calls have, whichever transport carries them: methods and status are gRPC's."""
