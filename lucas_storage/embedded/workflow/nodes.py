"""The nodes of a graph: control nodes run steps, data nodes carry values.

Executors written for Lucas use these classes, so their names are fixed. No method here turns a value into text.
"""

from __future__ import annotations

import itertools
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.workflow.ld import Lambda
from lucas_storage.engine.nested_values import found_in, replaced

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.instances import ActorInstance
    from lucas_storage.embedded.workflow.roles import Graph

_numbers = itertools.count()


class DAGNode:
    """Base of the two kinds of node."""

    def __init__(self) -> None:
        self._no = next(_numbers)
        self._done = False
        self.belong_dag: Graph | None = None

    @cached_property
    def _id(self) -> str:
        return str(uuid.uuid4())  # as those of the values

    def getid(self) -> str:
        """Return the name under which messages refer to this node."""
        return self._id

    def reset(self) -> None:
        """Return to the state before the run."""
        self._done = False

    def neighbours(self) -> list[DAGNode]:
        """Return the nodes this one is linked to."""
        raise NotImplementedError

    def describe(self) -> str:
        """Name the node for a log line, without values."""
        raise NotImplementedError

    def metadata(self, fn_export: bool = False) -> dict[str, Any]:  # noqa: ARG002 -- the contract's signature
        """Describe the node in JSON terms, without values."""
        return {"id": self._id, "done": self._done, "no": self._no}


class ControlNode(DAGNode):
    """A step: it has a function, and waits for the values of its parameters.

    Args:
        fn: Called with a dict of the arguments.
        name: Name of the step.
        fn_type: `remote` and `remote_map` for registered functions, `local` for `wf.func`.
    """

    def __init__(self, fn: Callable[[dict[Any, Any]], Any], name: str, fn_type: str) -> None:
        super().__init__()
        self._fn = fn
        self._fn_name = name
        self._fn_type = fn_type
        self._datas: dict[Any, Any] = {}
        self._ld_to_key: dict[Lambda, Any] = {}
        self._data_node: DataNode | None = None
        self._pre_data_nodes: list[DataNode] = []
        # Set for steps of the engine that only move values, so that the scheduler fetches nothing for them.
        self._passes_refs = False

    def get_data_node(self) -> DataNode:
        """Return the node that takes the result."""
        if self._data_node is None:
            raise RuntimeError(f"The step {self._fn_name!r} has no node for its result")
        return self._data_node

    def set_data_node(self, data_node: DataNode) -> None:
        """Make `data_node` the node of the result."""
        self._data_node = data_node

    def get_pre_data_nodes(self) -> list[DataNode]:
        """Return the nodes of the parameters."""
        return self._pre_data_nodes

    def add_pre_data_node(self, data_node: DataNode) -> None:
        """Add `data_node` to the nodes that the step waits for."""
        self._pre_data_nodes.append(data_node)

    def defParams(self, ld: Lambda, key: Any) -> None:
        """Make the value of `ld` the argument `key`."""
        self._ld_to_key[ld] = key

    def appargs(self, ld: Lambda) -> bool:
        """Set the argument of `ld` to its value, and return whether all arguments are set."""
        self._datas[self._ld_to_key[ld]] = ld.value
        return self.can_run()

    def can_run(self) -> bool:
        """Return whether all arguments are set."""
        return len(self._datas) >= len(self._ld_to_key)

    def calculate(self) -> DataNode:
        """Run the step and return the node that has its result.

        Raises:
            Exception: Whatever the step raises, as it is.
        """
        node = self.get_data_node()
        # A copy, since the function may change its arguments and the step may run again.
        node.set_value(self._fn(dict(self._datas)))
        return node

    def reset(self) -> None:
        """Return to the state before the run."""
        super().reset()
        self._datas = {}

    def neighbours(self) -> list[DAGNode]:
        """Return the nodes of the parameters and of the result."""
        return [*self._pre_data_nodes, self.get_data_node()]

    def describe(self) -> str:
        """Name the step for a log line."""
        return f"step {self._fn_name!r}"

    def metadata(self, fn_export: bool = False) -> dict[str, Any]:
        """Describe the step in JSON terms; `current` is the number of arguments that are there."""
        return super().metadata(fn_export) | {
            "type": "ControlNode",
            "functionname": self._fn_name,
            "functiontype": self._fn_type,
            "params": {ld.getid(): key for ld, key in self._ld_to_key.items()},
            "current": len(self._datas),
            "data_node": self.get_data_node().getid(),
            "pre_data_nodes": _ids(self._pre_data_nodes),
        }

    def __repr__(self) -> str:
        """Name the step."""
        return f"<{self.describe()}>"


class ActorNode(ControlNode):
    """A step that calls a method of an object.

    Args:
        obj: The object.
        fn: Called with a dict of the arguments.
        name: The class and the method, with a dot between them.
        fn_type: `remote`, as the object may be elsewhere.
    """

    def __init__(self, obj: ActorInstance, fn: Callable[[dict[Any, Any]], Any], name: str, fn_type: str) -> None:
        super().__init__(fn, name, fn_type)
        self._obj = obj

    def metadata(self, fn_export: bool = False) -> dict[str, Any]:
        """Describe the step in JSON terms, with the id and the class of its object, never the object."""
        return super().metadata(fn_export) | {
            "type": "ActorNode",
            "objid": self._obj._id,
            "classname": self._obj.get_class_name(),
        }


class DataNode(DAGNode):
    """A value: a constant, an input, or the result of a step.

    A step may return Lambdas, alone or inside containers. Then the value is complete when theirs are: the node waits
    for its children and takes their values itself.

    Args:
        ld: The Lambda of the value; a constant is ready at once.
    """

    def __init__(self, ld: Lambda) -> None:
        super().__init__()
        self._ld = ld
        self._initial = ld.value
        self._ready = ld._is_constant
        self._is_end_node = False
        self._pre_control_node: ControlNode | None = None
        self._suf_control_nodes: list[ControlNode] = []
        self._parent_node: DataNode | None = None
        self._parents: list[DataNode] = []
        self._child_node: list[DataNode] = []
        ld.setDataNode(self)

    @classmethod
    def of(cls, ld: Lambda) -> DataNode:
        """Return the node of the value of `ld`, which is made if there is none yet."""
        node = ld.getDataNode()
        return node if isinstance(node, DataNode) else cls(ld)

    def get_pre_control_node(self) -> ControlNode | None:
        """Return the step whose result this is, or None for constants and inputs."""
        return self._pre_control_node

    def set_pre_control_node(self, control_node: ControlNode) -> None:
        """Make this the result of `control_node`."""
        self._pre_control_node = control_node

    def get_succ_control_nodes(self) -> list[ControlNode]:
        """Return the steps that wait for this value."""
        return self._suf_control_nodes

    def add_succ_control_node(self, control_node: ControlNode) -> None:
        """Add a step that waits for this value."""
        self._suf_control_nodes.append(control_node)

    def set_value(self, value: Any) -> None:
        """Set the value; the node is ready when all Lambdas in it have values."""
        self._ld.value = value
        children = [self._known_node(ld) for ld in self._awaited(value)]
        self._child_node.extend(children)
        for child in children:
            child._parent_node = self
            # The contract has one parent, but a value may be returned by several steps.
            child._parents.append(self)
        self._settle()

    def is_ready(self) -> bool:
        """Return whether the value is complete."""
        return self._ready

    def set_ready(self) -> None:
        """Declare the value set; it becomes ready now, or when its children are."""
        self._settle()

    def apply(self) -> None:
        """Put the values of the children in; does nothing when called again."""
        self._ld.value = replaced(self._ld.value, Lambda, lambda ld: ld.value)

    def reset(self) -> None:
        """Return to the state before the run."""
        super().reset()
        # As before the run: `apply` may have replaced Lambdas in it by their values.
        self._ld.value = self._initial
        self._ready = self._ld._is_constant
        self._parent_node = None
        self._parents.clear()
        self._child_node.clear()

    def forget(self, steps: set[DAGNode]) -> None:
        """Remove `steps` from those that wait for this value."""
        self._suf_control_nodes[:] = [step for step in self._suf_control_nodes if step not in steps]

    def neighbours(self) -> list[DAGNode]:
        """Return the step before and the steps after."""
        return [*filter(None, [self._pre_control_node]), *self._suf_control_nodes]

    def describe(self) -> str:
        """Name the node for a log line, without its value."""
        return f"value of {self._pre_control_node.describe()}" if self._pre_control_node else "given value"

    def metadata(self, fn_export: bool = False) -> dict[str, Any]:
        """Describe the node in JSON terms; `lambda` is the id of the value, never the value."""
        return super().metadata(fn_export) | {
            "type": "DataNode",
            "lambda": self._ld.getid(),
            "ready": self._ready,
            "suf_control_nodes": _ids(self._suf_control_nodes),
            "pre_control_node": self._pre_control_node.getid() if self._pre_control_node else None,
            "parent_node": self._parent_node.getid() if self._parent_node else None,
            "child_node": _ids(self._child_node),
        }

    def _awaited(self, value: Any) -> list[Lambda]:
        # Only a local step can put a Lambda into a container; the results of functions, which may be large, are not
        # searched.
        step = self._pre_control_node
        is_local = step is not None and step._fn_type == "local"
        return found_in(value, Lambda) if is_local or isinstance(value, Lambda) else []

    def _known_node(self, ld: Lambda) -> DataNode:
        node = DataNode.of(ld)
        if self.belong_dag is not None:
            self.belong_dag.add_node(node)
        return node

    def _settle(self) -> None:
        # A loop and no recursion: steps that return steps can make a chain of any length.
        pending = [self]
        while pending:
            node = pending.pop()
            if all(child._ready for child in node._child_node):
                if node._child_node:
                    node.apply()
                node._ready = True
                pending.extend(parent for parent in node._parents if not parent._ready)

    def __repr__(self) -> str:
        """Name the node, without its value."""
        return f"<{self.describe()}>"


def _ids(nodes: list[Any]) -> list[str]:
    return [node.getid() for node in nodes]
