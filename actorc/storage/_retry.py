"""The path under which pickles name `RetryPolicy`, those of earlier versions and those made now."""

from actorc.storage._rpc.retry import RetryPolicy

__all__ = ["RetryPolicy"]
