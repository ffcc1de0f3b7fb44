"""Which calls hold a replica: checked against a platform that stops for ever when one is asked for and none is free."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorc.controller.client.session.replicas import Replicas


class Platform:
    """As many replicas of each generation as were asked for; it takes and gives back, and never has more than that."""

    def __init__(self):
        self.free = {}
        self.asked = {}

    def take(self, generation):
        self.free.setdefault(generation, generation.replicas)
        self.asked.setdefault(generation, generation.replicas)
        assert self.free[generation] > 0, "the platform has stopped"
        self.free[generation] -= 1

    def give_back(self, generation):
        self.free[generation] += 1
        assert self.free[generation] <= self.asked[generation]


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Calls come, begin, end, fail, are late, end after all, and are given up, in whatever order."""

    def __init__(self):
        super().__init__()
        self.count = None

    @precondition(lambda self: self.count is None)
    @rule(count=st.integers(1, 4))
    def define(self, count):
        self.count = count
        self.replicas = Replicas(count)
        self.platform = Platform()
        self.waiting, self.under_way, self.late, self.came = [], {}, {}, 0

    def _any(self, data, calls):
        return data.draw(st.sampled_from(sorted(calls)))

    @precondition(lambda self: self.count)
    @rule()
    def comes(self):
        self.came += 1
        self.replicas.enqueue(self.came)
        self.waiting.append(self.came)

    @precondition(lambda self: self.count)
    @rule()
    def begin(self):
        begun = self.replicas.begin()
        if begun is None:
            assert not self.waiting or len(self.under_way) == self.count, "a call waits though it need not"
            return
        call, generation = begun
        assert call == self.waiting.pop(0), "a call that came later was preferred"
        self.platform.take(generation)
        self.under_way[call] = generation

    @precondition(lambda self: self.count and self.under_way)
    @rule(data=st.data())
    def returns(self, data):
        call = self._any(data, self.under_way)
        self.platform.give_back(self.under_way.pop(call))
        self.replicas.end(call)

    @precondition(lambda self: self.count and self.under_way)
    @rule(data=st.data())
    def fails(self, data):
        call = self._any(data, self.under_way)
        del self.under_way[call]
        self.replicas.discard(call)

    @precondition(lambda self: self.count and self.under_way)
    @rule(data=st.data())
    def is_late(self, data):
        call = self._any(data, self.under_way)
        self.late[call] = self.under_way.pop(call)
        self.replicas.lose(call)

    @precondition(lambda self: self.count and self.late)
    @rule(data=st.data(), has_failed=st.booleans())
    def ends_after_all(self, data, has_failed):
        call = self._any(data, self.late)
        generation = self.late.pop(call)
        if has_failed:
            self.replicas.discard(call)
        else:
            self.platform.give_back(generation)
            self.replicas.end(call)

    @precondition(lambda self: self.count and self.came)
    @rule(data=st.data())
    def is_given_up(self, data):
        call = data.draw(st.integers(1, self.came))
        assert self.replicas.dequeue(call) == (call in self.waiting)
        self.waiting = [each for each in self.waiting if each != call]

    @invariant()
    def no_more_hold_a_replica_than_may(self):
        assert self.count is None or len(self.under_way) <= self.count

    def teardown(self):
        """Nobody starves: whatever happened, each call that waits begins once those before it are over."""
        while self.count and self.waiting:
            for call in list(self.under_way):
                del self.under_way[call]
                self.replicas.discard(call)
            before = len(self.waiting)
            self.begin()
            assert len(self.waiting) < before


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase


@given(st.integers(1, 5), st.integers(1, 30))
def test_as_many_replicas_are_asked_for_as_were_lost(count, failures):
    replicas = Replicas(count)
    asked = set()
    for call in range(failures):
        replicas.enqueue(call)
        begun, generation = replicas.begin()
        asked.add(generation)
        replicas.discard(begun)

    # the first are asked for together, and each after that only when all of them are gone
    assert sum(generation.replicas for generation in asked) == -(-failures // count) * count


def test_a_replica_that_came_back_is_used_before_another_is_asked_for():
    replicas = Replicas(1)
    for call in "abc":
        replicas.enqueue(call)
    _, first = replicas.begin()
    replicas.lose("a")
    _, second = replicas.begin()
    replicas.end("a")
    replicas.discard("b")

    assert first is not second
    assert replicas.begin() == ("c", first)
