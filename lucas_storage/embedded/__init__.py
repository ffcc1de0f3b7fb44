"""A workflow engine with the public contract of Lucas, for machines that do not have it.

It runs in one process and needs only the standard library. Where the contract leaves behaviour open, every run has a
graph of its own, None is a value, and an error ends the run and leaves no state behind. Only `install()` makes it
importable as `lucas`.
"""

from __future__ import annotations

from lucas_storage.embedded.aliases import install
from lucas_storage.embedded.classes import ActorClass, ActorConfig
from lucas_storage.embedded.decorators import actor, create_handler, durable, function, recursive, workflow
from lucas_storage.embedded.errors import MissingInputError, UnknownFunctionError
from lucas_storage.embedded.functions import Function
from lucas_storage.embedded.instances import ActorInstance
from lucas_storage.embedded.runtime import Runtime, StorageMethods
from lucas_storage.embedded.serverless_function import Metadata
from lucas_storage.embedded.workflow import (
    Lambda,
    Route,
    RouteBuilder,
    RouteClass,
    RouteRunner,
    Workflow,
    WorkflowContext,
)
from lucas_storage.embedded.workflow.executor import Executor
from lucas_storage.embedded.workflow.route import routeBuilder

__all__ = [
    "ActorClass",
    "ActorConfig",
    "ActorInstance",
    "Executor",
    "Function",
    "Lambda",
    "Metadata",
    "MissingInputError",
    "Route",
    "RouteBuilder",
    "RouteClass",
    "RouteRunner",
    "Runtime",
    "StorageMethods",
    "UnknownFunctionError",
    "Workflow",
    "WorkflowContext",
    "actor",
    "create_handler",
    "durable",
    "function",
    "install",
    "recursive",
    "routeBuilder",
    "workflow",
]
