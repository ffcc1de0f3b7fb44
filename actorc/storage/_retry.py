"""The path under which pickles name `RetryPolicy`, those of earlier versions and those made now."""

from ._rpc.retries.retry_policy import RetryPolicy

__all__ = ["RetryPolicy"]
