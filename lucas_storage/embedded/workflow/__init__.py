"""Workflows: graphs of steps, their construction and execution, and the registry of functions by name."""

from __future__ import annotations

from lucas_storage.embedded.workflow.context import WorkflowContext
from lucas_storage.embedded.workflow.ld import Lambda
from lucas_storage.embedded.workflow.route import Route, RouteBuilder, RouteClass, RouteFunc, RouteRunner
from lucas_storage.embedded.workflow.workflow import Workflow

__all__ = [
    "Lambda",
    "Route",
    "RouteBuilder",
    "RouteClass",
    "RouteFunc",
    "RouteRunner",
    "Workflow",
    "WorkflowContext",
]
