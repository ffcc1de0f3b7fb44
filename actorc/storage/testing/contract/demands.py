"""What a case asks of the engine it is met over, and of the faces it is met through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from actorc.storage.server.engines.base import CAPABILITIES

Case = TypeVar("Case", bound=Callable[..., None])


@dataclass(slots=True)
class Demand:
    """What one case asks for. Kept on its function, because pytest's own marks must be declared by who runs it."""

    needed: frozenset[str] = frozenset()
    """Capabilities without which it has no meaning."""
    refused: frozenset[str] = frozenset()
    """Capabilities with which it has none: it says how an engine refuses what it lacks."""
    is_rule: bool = False
    """Whether it is one of many cases of a pure rule, which holds behind every face if it does behind one."""


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
    """Meet a case through the faces for rules only."""
    _own(case).is_rule = True
    return case


def demand_of(case: Any) -> Demand:
    """Return what a function or method asks for."""
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
