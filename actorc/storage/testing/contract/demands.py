"""Requirements of a case on its engine and its faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from actorc.storage.server.engines.base import CAPABILITIES

Case = TypeVar("Case", bound=Callable[..., None])


@dataclass(slots=True)
class Demand:
    """Requirements of one case. Kept on its function, since a mark of pytest must be declared by the user of pytest."""

    needed: frozenset[str] = frozenset()
    """Capabilities that the case needs."""
    refused: frozenset[str] = frozenset()
    """Capabilities that the engine must lack, since the case tests their refusal."""
    is_rule: bool = False
    """Whether it tests a pure rule, which holds behind every face if it holds behind one."""


_NOTHING: Final = Demand()


def needs(*capabilities: str) -> Callable[[Case], Case]:
    """Leave a case out over an engine that lacks one of `capabilities`."""

    def marked(case: Case) -> Case:
        _own(case).needed = _known(capabilities)
        return case

    return marked


def refused_without(capability: str) -> Callable[[Case], Case]:
    """Leave a case out over an engine that has `capability`."""

    def marked(case: Case) -> Case:
        _own(case).refused = _known([capability])
        return case

    return marked


def rule(case: Case) -> Case:
    """Run a case through the faces for rules only."""
    _own(case).is_rule = True
    return case


def demand_of(case: Any) -> Demand:
    """Return the requirements of a case."""
    found: Demand = getattr(case, "demand", _NOTHING)
    return found


def _own(case: Any) -> Demand:
    if not hasattr(case, "demand"):
        case.demand = Demand()
    return demand_of(case)


def _known(names: Any) -> frozenset[str]:
    known = frozenset(names)
    if not known <= set(CAPABILITIES):
        raise ValueError(f"no capability has a name of {sorted(known - set(CAPABILITIES))}")
    return known
