"""The path under which scripts for earlier versions import what signs a call without this client."""

from actorc.storage._wire.call_signing import derived_key, sign_request

__all__ = ["derived_key", "sign_request"]
