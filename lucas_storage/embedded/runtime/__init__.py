"""Runtimes: the interface of a function to the platform it runs on."""

from __future__ import annotations

from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime
from lucas_storage.embedded.runtime.runtime import CallResult, FaasitResult, InputType, Runtime, StorageMethods

__all__ = ["CallResult", "FaasitResult", "InputType", "LocalOnceRuntime", "Runtime", "StorageMethods"]
