"""The path under which pickles name `to_json`, those of earlier versions and those made now."""

from actorc.storage._rpc.result_dicts import to_json

__all__ = ["to_json"]
