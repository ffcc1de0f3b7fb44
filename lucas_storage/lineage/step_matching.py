"""Which step of one run is which of another: by its function, its place in the graph, and its inputs.

Pure, and in time that grows as the runs do: each rule sorts the steps that no rule before it has paired into groups.
Names of steps and keys of their neighbours are a stranger's; circles among them only cost precision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from lucas_storage.records.past_run import Mention, PastRun, PastStep

from .differences.json_values import canonical
from .graph import layers_of
from .run_graph import graph_of

Pair: TypeAlias = tuple[PastStep | None, PastStep | None]


@dataclass(slots=True)
class _Node:
    """A step of one run, with what is known of its place."""

    step: PastStep
    layer: int = 0
    before: list[int] = field(default_factory=list)
    """Numbers of the steps whose results it takes."""
    after: list[int] = field(default_factory=list)
    shape: int = 0
    """Equal for steps whose function, and those of all steps before it, are equal."""
    inputs: Hashable = None
    partner: int | None = None
    """Its number in the other run."""


def matched(before: PastRun, after: PastRun) -> list[Pair]:
    """Return the steps of two runs in pairs: those of the latter in the order of its graph, then the others.

    A step has no partner if it was added or removed. A step that has another name, but stands between the same
    neighbours, is the same.
    """
    # Not of all steps: one that was interrupted has none.
    with_values = all(any(step.given is not None for step in run.steps) for run in (before, after))
    ours, theirs = (_nodes(run, with_values=with_values) for run in (before, after))
    for rule in _RULES:
        _pair(ours, theirs, rule)
    return [
        *((ours[node.partner].step if node.partner is not None else None, node.step) for node in _in_order(theirs)),
        *((node.step, None) for node in _in_order(ours) if node.partner is None),
    ]


def are_same_inputs(before: PastStep, after: PastStep) -> bool:
    """Return whether two steps were given the same, as far as records tell: by values, if both have them."""
    with_values = before.given is not None and after.given is not None
    ours, theirs = (_inputs_of(step, with_values=with_values) for step in (before, after))
    return ours == theirs


def _inputs_of(step: PastStep, *, with_values: bool) -> Hashable:
    """Return what two steps have in common if their inputs are equal.

    Args:
        step: The step.
        with_values: Whether values count that travelled within the call; records of early versions have none.
    """
    mentions = {name: [_identity(each) for each in found] for name, found in step.inputs.items()}
    if not with_values or step.given is None:
        return canonical(mentions)
    withheld = {name: mentions.get(name) for name in step.withheld}
    return canonical([step.given, withheld])


def is_same_result(before: PastStep, after: PastStep) -> bool:
    """Return whether two steps returned the same, as far as records tell."""
    ours, theirs = ([_identity(each) for each in step.outputs] for step in (before, after))
    if canonical(ours) != canonical(theirs):
        return False
    returned = [[step.returned, step.fingerprint] for step in (before, after)]
    # Records of early versions, and with some settings, have no values.
    with_values = before.given is not None and after.given is not None
    known = all(each != [None, None] for each in returned)
    return canonical(returned[0]) == canonical(returned[1]) or not (known or with_values)


def _identity(mention: Mention) -> list[str | int | None]:
    known = None if mention.ref is None else mention.ref.digest or mention.ref.uri
    return [mention.format, mention.size, known]


def _nodes(run: PastRun, *, with_values: bool) -> list[_Node]:
    graph = graph_of(run)
    layers = layers_of(graph)
    keys = [step.key or f"step:{number}" for number, step in enumerate(run.steps)]
    numbers = {key: number for number, key in enumerate(keys)}
    nodes = [_Node(step, layers.get(key, 0)) for step, key in zip(run.steps, keys, strict=True)]
    for edge in graph.edges:
        source, target = numbers.get(edge.source), numbers.get(edge.target)
        if source is not None and target is not None and nodes[source].layer < nodes[target].layer:
            nodes[target].before.append(source)
            nodes[source].after.append(target)
    for node in _in_order(nodes):
        node.shape = hash((node.step.function, tuple(sorted(nodes[at].shape for at in node.before))))
        node.inputs = _inputs_of(node.step, with_values=with_values)
    return nodes


def _in_order(nodes: Iterable[_Node]) -> list[_Node]:
    return sorted(nodes, key=lambda node: (node.layer, node.step.started))


_Rule: TypeAlias = Callable[[_Node, list[int | None]], Hashable]
"""Returns what two steps have in common if they are the same, of a step and the pairs that its neighbours are in; None
if the rule tells nothing of it."""


def _pair(ours: list[_Node], theirs: list[_Node], rule: _Rule) -> None:
    """Give a partner to all steps that a rule pairs, in the order of both graphs."""
    waiting = defaultdict[Hashable, list[int]](list)
    own = [node.partner for node in ours]
    for at in _open(ours):
        key = rule(ours[at], [own[each] for each in ours[at].before])
        if key is not None:
            waiting[key].append(at)
    for found in waiting.values():
        found.reverse()
    for at in _open(theirs):
        node = theirs[at]
        # Neighbours are named by their number in the latter run.
        places: list[int | None] = [each if theirs[each].partner is not None else None for each in node.before]
        key = rule(node, places)
        if key is not None and waiting.get(key):
            node.partner = waiting[key].pop()
            ours[node.partner].partner = at


def _open(nodes: list[_Node]) -> Iterator[int]:
    """Yield the numbers of the steps that have no partner, in the order of the graph."""
    numbers = [at for at, node in enumerate(nodes) if node.partner is None]
    return iter(sorted(numbers, key=lambda at: (nodes[at].layer, nodes[at].step.started)))


def _neighbours(places: list[int | None]) -> Hashable:
    """Return the pairs that the steps before are in; None if there are none, or one is in no pair."""
    return None if not places or None in places else tuple(sorted(each for each in places if each is not None))


def _by_neighbours(node: _Node, places: list[int | None]) -> Hashable:
    found = _neighbours(places)
    return None if found is None else (node.step.function, found)


def _renamed(node: _Node, places: list[int | None]) -> Hashable:
    # Without steps before it, a step is known by its inputs, if it has any.
    return _neighbours(places) or (node.inputs if not places and node.step.inputs else None)


_RULES: tuple[_Rule, ...] = (
    lambda node, _: (node.step.function, node.shape, node.inputs),
    _by_neighbours,
    lambda node, _: (node.step.function, node.inputs),
    lambda node, _: (node.step.function, node.shape),
    _by_neighbours,
    lambda node, _: (node.step.function,),
    _by_neighbours,
    _renamed,
)
"""The surest first. That of neighbours comes again when others have paired more of them."""
