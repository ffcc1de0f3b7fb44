"""Whatever was published, run and cached, and wherever collections were killed: what is kept stays, the rest goes."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import NetworkError
from actorc.storage.server.engines.memory import MemoryEngine
from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.errors import VersionTakenError
from lucas_storage.gc.collect import collect
from lucas_storage.gc.policy import NO_POLICY, NameRule, Policy
from lucas_storage.records import record_store

DAY = 86_400.0
GRACE = 2 * DAY
TTL = 30 * DAY
RUN = "01M00000000000000000000{:03}".format


class Clock:
    def __init__(self):
        self.now = time.time() - 400 * DAY

    def __call__(self):
        return self.now


class Watched(Storage):
    """A handle that calls a hook before each removal."""

    before_removal = staticmethod(lambda: None)

    def delete_object(self, *args, **options):
        self.before_removal()
        return super().delete_object(*args, **options)


@contextmanager
def serving(clock):
    with (
        tempfile.TemporaryDirectory() as cache,
        local_server(MemoryEngine(clock=clock)) as server,
        storage_context(endpoint=server.endpoint, cache_dir=cache, bucket="bucket", grace=GRACE),
        Watched() as store,
    ):
        store.create_bucket("bucket")
        yield store


@dataclass
class History:
    """What was done, and what of it a policy keeps, told in another way than collections find it out."""

    store: Watched
    clock: Clock
    refs: dict = field(default_factory=dict)
    stored: dict = field(default_factory=dict)
    publications: dict = field(default_factory=dict)
    aliases: dict = field(default_factory=dict)
    runs: dict = field(default_factory=dict)
    memos: dict = field(default_factory=dict)

    def put(self, which):
        # Stored anew as writers do: if it is older than half the grace period.
        self.refs[which] = self.store.put(b"artifact %d" % which * 100)
        head = self.store.head_object("bucket", self.refs[which].key)
        self.stored[which] = head["last_modified"].timestamp()
        return self.refs[which]

    def publish(self, name, which, version, alias):
        try:
            self.store.publish(self.put(which), name, version=version, alias=alias)
        except VersionTakenError:
            return
        known = self.publications.setdefault(name, [])
        entry = next((each for each in known if version is not None and each["version"] == version), None)
        if entry is None:
            entry = {"which": which, "at": self.clock.now, "version": version}
            known.append(entry)
        entry["at"] = self.clock.now
        if alias is not None:
            now, _ = self.aliases.get((name, alias), (None, None))
            self.aliases[name, alias] = (entry, now)

    def run(self, number, which, memo):
        """Let a run be heard of again, with one more step, that may have reused a cached result."""
        key, ref = RUN(number), self.put(which)
        steps = self.runs.setdefault(key, {"which": [], "memos": set()})
        steps["which"].append(which)
        step = {"out": [ref]}
        if memo is not None:
            steps["memos"].add(memo)
            step["memo"] = f"{memo:064x}"
        record_store.write(self.store, f"runs/{key}/steps/{len(steps['which'])}.json", step)
        record_store.write(self.store, f"runs/{key}/run.json", {"run": 1, "status": "running"})
        steps["heard"] = self.clock.now

    def memo(self, number, which, by):
        content = {"memo": 1, "at": self.clock.now, "age": None, "run": RUN(by), "result": self.put(which)}
        record_store.write(self.store, record_store.record_key(record_store.MEMO, f"{number:064x}"), content)
        self.memos[number] = {"which": which, "at": self.clock.now, "run": RUN(by)}

    def wait(self, days):
        self.clock.now += days * DAY

    def kept(self, policy):
        """Return the numbers of the artifacts that the policy keeps now."""
        now, since = self.clock.now, self.clock.now - policy.seconds(TTL)
        kept = {entry["which"] for pair in self.aliases.values() for entry in pair[:1]}
        held = [entry for pair in self.aliases.values() for entry in pair if entry is not None]
        for name, known in self.publications.items():
            last = policy.last_of(name)
            latest = known if last is None else known[-last:]
            kept |= {each["which"] for each in known if each in latest or each in held or each["at"] >= now - GRACE}
        counting = {key: run for key, run in self.runs.items() if run["heard"] >= since}
        kept |= {which for run in counting.values() for which in run["which"]}
        for number, memo in self.memos.items():
            named = any(number in run["memos"] for run in counting.values())
            if memo["at"] >= since or memo["run"] in counting or named:
                kept.add(memo["which"])
        return kept

    def there(self):
        return {which for which, ref in self.refs.items() if self.store.object_exists("bucket", ref.key)}


ARTIFACT = st.integers(0, 7)
NUMBER = st.integers(0, 3)
NAMES = st.sampled_from(["model-a", "model-b", "table"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("publish"),
            NAMES,
            ARTIFACT,
            st.none() | st.sampled_from(["v1", "v2", "v3"]),
            st.none() | st.sampled_from(["prod", "next"]),
        ),
        st.tuples(st.just("run"), NUMBER, ARTIFACT, st.none() | NUMBER),
        st.tuples(st.just("memo"), NUMBER, ARTIFACT, NUMBER),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 1.5, 6.0, 20.0])),
    ),
    max_size=25,
)
RULES = st.builds(
    NameRule, names=st.sampled_from(["model-*", "table", "*", "model-?"]), last=st.none() | st.integers(1, 3)
)
POLICIES = st.builds(
    Policy, keep_days=st.none() | st.sampled_from([1, 7, 45]), keep_last=st.lists(RULES, max_size=3).map(tuple)
) | st.just(NO_POLICY)


def replayed(store, clock, events):
    history = History(store, clock)
    for name, *arguments in events:
        getattr(history, name)(*arguments)
    return history


def collected(history, policy):
    return collect(history.store, grace=GRACE, ttl=TTL, now=history.clock.now, policy=policy, delete=True)


@given(events=EVENTS, policy=POLICIES)
def test_what_a_policy_keeps_stays_and_all_else_of_age_goes(events, policy):
    clock = Clock()
    with serving(clock) as store:
        history = replayed(store, clock, events)
        kept = history.kept(policy)
        young = {which for which, at in history.stored.items() if at >= clock.now - GRACE}
        collected(history, policy), collected(history, policy)
        there = history.there()
        again = collected(history, policy)

    assert there == kept | young
    assert (again.marked.objects, again.removed.objects, again.expired, again.problems) == (0, 0, 0, ())


@given(events=EVENTS, policy=POLICIES, survived=st.lists(st.integers(0, 5), max_size=4))
def test_collections_that_are_killed_lose_nothing_and_the_next_ones_end_their_work(events, policy, survived):
    clock = Clock()
    with serving(clock) as store:
        history = replayed(store, clock, events)
        history.wait(GRACE / DAY + 0.01)
        kept = history.kept(policy)
        for removals in survived:
            left = iter(range(removals))

            def die(left=left):
                if next(left, None) is None:
                    raise NetworkError("killed", "bucket")

            store.before_removal = die
            try:
                collected(history, policy)
            except NetworkError:
                assert kept <= history.there()
        store.before_removal = Watched.before_removal
        collected(history, policy), collected(history, policy)

        assert history.there() == kept


@given(events=EVENTS, policy=POLICIES, at=st.integers(0, 6), which=ARTIFACT)
def test_whoever_publishes_while_a_collection_removes_keeps_the_artifact(events, policy, at, which):
    clock = Clock()
    with serving(clock) as store:
        history = replayed(store, clock, events)
        history.wait(GRACE / DAY + 0.01)
        collected(history, policy)
        left = iter(range(at))

        def publish():
            if next(left, None) is None:
                store.before_removal = Watched.before_removal
                history.publish("table", which, None, "prod")

        store.before_removal = publish
        collected(history, policy)
        if store.before_removal is not publish:
            collected(history, policy), collected(history, policy)

            assert which in history.there()


@given(events=EVENTS, policy=POLICIES, at=st.integers(0, 6))
def test_two_collections_at_once_lose_nothing(events, policy, at):
    clock = Clock()
    with serving(clock) as store:
        history = replayed(store, clock, events)
        history.wait(GRACE / DAY + 0.01)
        kept = history.kept(policy)
        left = iter(range(at))

        def collect_within():
            if next(left, None) is None:
                store.before_removal = Watched.before_removal
                collected(history, policy)

        store.before_removal = collect_within
        collected(history, policy), collected(history, policy)

        assert history.there() == kept


@pytest.mark.parametrize("days", [2, 45])
def test_a_dry_run_tells_what_the_next_collections_do(days):
    events = [
        ("publish", "table", 0, "v1", None),
        ("publish", "table", 1, "v2", None),
        ("run", 0, 2, None),
        ("memo", 1, 3, 1),
        ("wait", 20.0),
    ]
    policy = Policy(keep_days=days, keep_last=(NameRule(names="*", last=1),))
    clock = Clock()
    with serving(clock) as store:
        history = replayed(store, clock, events)
        looked = collect(store, grace=GRACE, ttl=TTL, now=clock.now, policy=policy)
        first, second = collected(history, policy), collected(history, policy)

    assert (looked.expired, looked.marked) == (first.expired, first.marked) == (first.expired, second.removed)
    assert first.expired == (2 if days == 45 else 5)
