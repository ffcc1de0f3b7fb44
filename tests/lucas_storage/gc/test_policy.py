"""What a policy keeps: the last publications of a name, and all that the runs of the last days need."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pytest

from lucas_storage import Storage, run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import (
    ArtifactNotFoundError,
    InvalidParameterError,
    NotFoundError,
    PolicyError,
    VersionTakenError,
)
from lucas_storage.gc import policy as policy_module
from lucas_storage.gc.collect import collect
from lucas_storage.gc.policy import (
    KEY,
    NO_POLICY,
    NameRule,
    Policy,
    policy_of,
    readable_policy,
    remove_policy,
    store_policy,
    stored_policy,
)
from lucas_storage.records import record_store, run_record

DAY = 86_400.0
GRACE = 2 * DAY
TTL = 30 * DAY


@pytest.fixture
def gc(store, clock):
    def collected(policy=NO_POLICY, *, delete=True):
        return collect(store, grace=GRACE, ttl=TTL, now=clock.now, policy=policy, delete=delete)

    return collected


def kept(store, prefix):
    return sorted(head["key"].removeprefix(prefix) for head in store.iter_objects("bucket", prefix))


def published(store, clock, name, count, **more):
    """Publish some artifacts, one a day."""
    refs = []
    for number in range(count):
        refs.append(store.put(f"{name} {number}".encode() * 100))
        store.publish(refs[-1], name, **{key: value(number) for key, value in more.items()})
        clock.now += DAY
    return refs


def exist(store, refs):
    return [store.object_exists("bucket", ref.key) for ref in refs]


# Names


def test_of_a_name_the_last_publications_stay_with_their_artifacts(store, clock, gc):
    refs = published(store, clock, "model", 5)
    clock.now += GRACE
    policy = policy_of(None, ["2"])
    first, second = gc(policy), gc(policy)

    assert (first.expired, first.marked.objects, second.removed.objects, second.expired) == (3, 3, 3, 0)
    assert exist(store, refs) == [False, False, False, True, True]
    assert store.lookup("model").digest == refs[-1].digest


def test_without_a_policy_names_stay_for_ever(store, clock, gc):
    refs = published(store, clock, "model", 5)
    clock.now += 3650 * DAY
    gc(), gc()

    assert exist(store, refs) == [True] * 5


def test_a_version_goes_with_its_publication(store, clock, gc):
    published(store, clock, "model", 4, version="v{}".format)
    clock.now += GRACE
    gc(policy_of(None, ["model=1"]))

    assert [key for key in kept(store, "names/model/") if key.startswith("versions")] == ["versions/v3.json"]
    assert store.lookup("model@v3") is not None
    with pytest.raises(NotFoundError):
        store.lookup("model@v2")


def test_what_an_alias_names_or_named_before_stays_with_its_version(store, clock, gc):
    refs = published(
        store, clock, "model", 6, version="v{}".format, alias=lambda number: "prod" if number in (1, 3) else None
    )
    clock.now += GRACE
    gc(policy_of(None, ["1"])), gc(policy_of(None, ["1"]))

    assert exist(store, refs) == [False, True, False, True, False, True]
    assert [store.lookup(f"model@{each}").digest for each in ("v1", "prod", "v3", "v5")] == [
        refs[number].digest for number in (1, 3, 3, 5)
    ]


def test_a_publication_within_the_grace_period_stays_though_others_are_later(store, clock, gc):
    published(store, clock, "model", 3)
    clock.now -= 1
    looked = gc(policy_of(None, ["1"]), delete=False)

    assert looked.expired == 1  # the second was published less than two days ago


def test_the_first_rule_that_matches_a_name_is_its_rule(store, clock, gc):
    for name in ("model-a", "model-b", "table"):
        published(store, clock, name, 4)
    clock.now += GRACE
    gc(policy_of(None, ["model-b=all", "model-*=3", "1"]))

    assert [len(kept(store, f"names/{name}/")) for name in ("model-a", "model-b", "table")] == [3, 4, 1]


def test_an_artifact_that_a_kept_publication_of_another_name_has_stays(store, clock, gc):
    refs = published(store, clock, "model", 2)
    store.publish(refs[0], "other")
    clock.now += GRACE
    gc(policy_of(None, ["1"])), gc(policy_of(None, ["1"]))

    assert exist(store, refs) == [True, True]


def test_records_under_a_name_that_nobody_published_stay_and_stop_nothing(store, clock, gc):
    published(store, clock, "model", 3)
    for key, content in (
        ("versions/odd.json", {"id": 7}),
        ("aliases/odd.json", {"id": ["x"], "before": {}}),
        ("notes.json", {}),
        ("versions/.json", {"id": "7" * 26}),
    ):
        record_store.write(store, f"names/model/{key}", content)
    clock.now += 2 * GRACE
    done = gc(policy_of(None, ["1"]))

    assert (done.expired, done.problems) == (2, ())
    assert len(kept(store, "names/model/")) == 1 + 4


def test_a_damaged_alias_stops_the_removal_of_what_it_may_name(store, clock, gc):
    published(store, clock, "model", 3)
    store.put_object("bucket", "names/model/aliases/prod.json", b"{damaged")
    clock.now += GRACE
    done = gc(policy_of(None, ["1"]))

    assert done.problems == ("names/model/aliases/prod.json",)
    assert len(kept(store, "names/model/")) == 4


def test_a_plan_tells_what_a_policy_lets_go_and_why(store, clock, gc):
    published(store, clock, "model", 3)
    clock.now += GRACE
    done = gc(policy_of(None, ["model=1"]), delete=False)

    assert {each.reason for each in done.plan.expired} == {
        "model: not among the last 1 publications of its name, and no alias has to do with it"
    }
    assert sum(each.size for each in done.plan.expired) > 200
    assert [fate.reason for fate in done.plan.having("kept")] == [
        "kept by the name model, of whose publications the last 1 stay"
    ]


# Names that are published while a policy lets them go


class Interrupted(Storage):
    """A handle that calls a hook once, before the first removal of an object whose key begins with a prefix."""

    hook = None
    awaited = ""

    def delete_object(self, bucket, key, **options):
        if key.startswith(self.awaited):
            hook, self.hook = self.hook, None
            if hook is not None:
                hook()
        return super().delete_object(bucket, key, **options)


@pytest.fixture
def interrupted(store, clock):
    """Collect, and publish in the moment before the first removal of an object whose key begins with a prefix."""

    def collected(prefix, publish, policy=NO_POLICY):
        with Interrupted() as storage:
            storage.awaited, storage.hook = prefix, publish
            done = collect(storage, grace=GRACE, ttl=TTL, now=clock.now, policy=policy, delete=True)
            assert storage.hook is None, "nothing was about to be removed"
        return done

    return collected


@pytest.mark.parametrize("prefix", ["names/model/0", "names/model/versions/v0"])
def test_an_alias_that_is_moved_onto_a_publication_while_it_is_removed_names_one_that_is_there(
    store, clock, gc, interrupted, prefix
):
    refs = published(store, clock, "model", 3, version="v{}".format)
    clock.now += GRACE
    policy = policy_of(None, ["1"])
    interrupted(prefix, lambda: store.publish(refs[0], "model", version="v0", alias="prod"), policy)
    gc(policy), gc(policy)

    alias = record_store.read(store, "names/model/aliases/prod.json").content
    there = record_store.read(store, f"names/model/{alias['id']}.json").content
    assert (alias["ref"], there["ref"], there["version"]) == (refs[0], refs[0], "v0")
    assert [store.lookup(f"model@{each}").digest for each in ("prod", "v0")] == [refs[0].digest] * 2
    assert exist(store, refs) == [True, False, True]


def test_a_version_that_is_published_again_stays_for_the_grace_period(store, clock, gc):
    refs = published(store, clock, "model", 3, version="v{}".format)
    clock.now += GRACE
    store.publish(refs[0], "model", version="v0")
    during, there = gc(policy_of(None, ["1"])), exist(store, refs)
    clock.now += GRACE + 1
    gc(policy_of(None, ["1"]))

    assert (during.expired, there) == (2, [True] * 3)
    assert len(kept(store, "names/model/")) == 2


def test_a_version_of_other_content_is_refused_and_its_record_is_left_as_it_is(store, clock):
    published(store, clock, "model", 1, version="v{}".format)
    before = [(each["key"], each["etag"]) for each in store.iter_objects("bucket", "names/")]

    with pytest.raises(VersionTakenError):
        store.publish(store.put(b"other"), "model", version="v0")
    assert [(each["key"], each["etag"]) for each in store.iter_objects("bucket", "names/")] == before


@pytest.mark.parametrize("what", ["blob", "directory", "data", "inline"])
def test_an_artifact_that_is_published_in_the_moment_of_its_removal_stays_with_all_that_it_reaches(
    store, clock, gc, interrupted, tmp_path, what
):
    inner = store.put(b"inner" * 100)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"a" * 100)
    ref = store.put(
        {"blob": b"outer" * 100, "directory": folder, "data": {"inner": inner, "x": "x" * 10_000}, "inline": [inner]}[
            what
        ]
    )
    clock.now += GRACE + 1
    gc()
    interrupted("a/", lambda: store.publish(ref, "name"))
    gc(), gc()

    store.verify(ref)
    if what in ("data", "inline"):
        store.verify(inner)


def test_an_artifact_that_is_gone_when_it_is_published_leaves_no_name(store, clock, gc):
    ref = store.put(b"artifact" * 100)
    clock.now += GRACE + 1
    gc(), gc()

    with pytest.raises(ArtifactNotFoundError):
        store.publish(ref, "name", version="v1", alias="prod")
    assert kept(store, "names/") == []


def test_what_is_young_is_published_without_a_word_about_it(store, clock, monkeypatch):
    ref = store.put(b"artifact" * 100)
    clock.now = time.time()
    young = store.put(b"young" * 100)
    copied = []
    genuine = Storage.copy_object
    monkeypatch.setattr(Storage, "copy_object", lambda self, *a, **b: copied.append(a[1]) or genuine(self, *a, **b))
    store.publish(ref, "old"), store.publish(young, "young"), store.publish(ref, "old")

    assert copied == [ref.key]


# Runs


def flow_of(*steps):
    for step in steps:
        function(step)

    @workflow
    def flow(wf):
        return wf.call(steps[0].__name__, {"n": wf.input()["n"]})

    return flow


def test_runs_count_for_as_many_days_as_the_policy_says(store, clock, gc, monkeypatch):
    # Each step has a record of its own, as in a run that takes longer.
    monkeypatch.setattr(run_record, "WHOLE_MAX", 0)

    @with_storage
    def make(n):
        return np.arange(n)

    flow = flow_of(make)
    old = run(flow, {"n": 10_000}, materialize=False)
    clock.now += 5 * DAY
    new = run(flow, {"n": 20_000}, materialize=False)
    clock.now += 4 * DAY
    policy = policy_of(7, [])
    first, second = gc(policy), gc(policy)

    assert {kind: len(each) for kind, each in first.plan.expired_by_kind().items()} == {"run": 2, "memo": 1}
    assert (second.expired, exist(store, [old, new])) == (0, [False, True])


def test_a_run_counts_as_a_whole_from_its_last_word(store, clock, gc):
    """Its first steps may have ended long before; their artifacts are those that its next steps take."""
    early = store.put(b"early" * 100)
    record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/steps/01M0000000BBBBBBBBBBBBBBBB.json", {"out": [early]})
    clock.now += 10 * DAY
    record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/run.json", {"run": 1, "status": "running"})
    clock.now += DAY
    during = [gc(policy_of(3, [])) for _ in range(2)]
    there = exist(store, [early])
    clock.now += 3 * DAY
    gc(policy_of(3, [])), gc(policy_of(3, []))

    assert [done.expired for done in during] == [0, 0]
    assert (there, exist(store, [early]), kept(store, "runs/")) == ([True], [False], [])


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_run_that_is_heard_of_again_while_it_is_removed_keeps_its_steps(store, clock, is_heard):
    """As that of a machine which slept for a month does."""
    for key in ("run.json", "steps/01M0000000BBBBBBBBBBBBBBBB.json"):
        record_store.write(store, f"runs/01M0000000AAAAAAAAAAAAAAAA/{key}", {"run": 1, "status": "running"})
    clock.now += TTL + 1

    def hear():
        record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/run.json", {"run": 1, "status": "running", "n": 2})

    with Interrupted() as storage:
        storage.hook = hear if is_heard else None
        done = collect(storage, grace=GRACE, ttl=TTL, now=clock.now, delete=True)

    assert done.expired == 2
    assert len(kept(store, "runs/")) == (2 if is_heard else 0)


def test_cached_results_count_as_long_as_the_runs_that_reused_them(store, clock, gc):
    """So that such a run is resumed with them, however long ago they were made."""
    calls = []

    @with_storage(cache=True)
    def make(n):
        calls.append(n)
        return np.arange(n)

    flow = flow_of(make)
    run(flow, {"n": 10_000})
    clock.now += 20 * DAY
    ref = run(flow, {"n": 10_000}, materialize=False)
    clock.now += 20 * DAY
    gc(), gc()
    run(flow, {"n": 10_000})

    assert (calls, exist(store, [ref])) == ([10_000], [True])


def test_checkpoints_count_as_long_as_their_run(store, clock, gc):
    content = {"checkpoint": 1, "run": "01M0000000AAAAAAAAAAAAAAAA", "value": store.put(b"state" * 100)}
    record_store.write(store, f"checkpoints/aa/{'a' * 64}.json", content)
    record_store.write(store, f"checkpoints/bb/{'b' * 64}.json", {**content, "run": None})
    clock.now += 20 * DAY
    record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/run.json", {"run": 1, "status": "running"})
    clock.now += 20 * DAY
    gc()

    assert kept(store, "checkpoints/") == [f"aa/{'a' * 64}.json"]


def test_a_cached_result_with_an_age_limit_of_its_own_counts_no_longer(store, clock, gc):
    key = "c" * 64
    content = {"memo": 1, "at": clock.now, "age": DAY, "run": "01M0000000AAAAAAAAAAAAAAAA", "result": 1}
    record_store.write(store, record_store.record_key(record_store.MEMO, key), content)
    clock.now += 2 * DAY
    record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/run.json", {"run": 1, "steps": [{"memo": key}]})

    assert gc().expired == 1


class Behind(Storage):
    """The handle of a store whose server tells the time of a clock."""

    clock = None

    def server_info(self):
        return {**super().server_info(), "time": datetime.fromtimestamp(self.clock.now, UTC)}


def test_the_clock_of_the_server_decides_and_not_that_of_the_machine_that_collects(store, clock):
    store.put(b"young by the clock of the server, which is ninety days behind")
    with Behind() as behind:
        behind.clock = clock
        done = collect(behind, grace=GRACE, ttl=TTL, delete=True)

    assert (done.young.objects, done.marked.objects) == (1, 0)


# The stored policy


def test_a_store_remembers_its_policy(store):
    policy = policy_of(14, ["model-*=all", "5"])
    before = stored_policy(store)
    store_policy(store, policy)
    found = stored_policy(store)
    remove_policy(store)
    remove_policy(store)

    assert (before, found, stored_policy(store)) == (NO_POLICY, policy, NO_POLICY)
    assert str(policy) == "--keep-days 14 --keep-last 'model-*=all' --keep-last '*=5'"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"policy": 2, "keep_days": 1},
        {"policy": 1, "keep_days": 0},
        {"policy": 1, "keep_days": 1.5},
        {"policy": 1, "keep_days": "7"},
        {"policy": 1, "keep_last": [{"names": "*", "last": 0}]},
        {"policy": 1, "keep_last": [{"names": "*", "last": True}]},
        {"policy": 1, "keep_last": [{"names": "a/b", "last": 1}]},
        {"policy": 1, "keep_last": [{"names": ["*"], "last": 1}]},
        {"policy": 1, "keep_last": [{"names": "*"}]},
        {"policy": 1, "keep_last": [{"names": "*", "last": 1, "unless_older": 7}]},
        {"policy": 1, "keep_last": ["*=5"]},
        {"policy": 1, "keep_last": 5},
        {"policy": 1, "keep_last": [{"names": "*", "last": 1}] * 101},
        {"policy": 1, "keep_bytes": 10},
    ],
)
def test_a_policy_that_cannot_be_read_is_an_error_and_not_another_policy(store, content):
    record_store.write(store, KEY, content)

    with pytest.raises(PolicyError, match="gc policy set"):
        stored_policy(store)
    assert readable_policy(store) == NO_POLICY


def test_an_object_that_is_no_record_is_no_policy(store):
    store.put_object("bucket", KEY, b"keep 5")

    with pytest.raises(PolicyError):
        stored_policy(store)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "x", "=5", "a=", "a b=5", "a=0", "a=1.5", "a=\u0661", "a/b=1", "*=1000001"]
)
def test_a_rule_for_names_that_is_wrong_is_refused_with_the_form(text):
    with pytest.raises(InvalidParameterError, match="is no rule for names; write NAMES=N"):
        NameRule.parse(text)


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_a_number_of_days_out_of_range_is_refused(days):
    with pytest.raises(InvalidParameterError, match="give a number from 1 to 36500"):
        Policy(keep_days=days)


def test_names_are_matched_as_a_whole():
    policy = policy_of(None, ["model-?=1", "[ab]*=2"])

    assert [policy.last_of(name) for name in ("model-1", "model-12", "able", "my-model-1")] == [1, None, 2, None]


def test_a_reference_in_a_record_of_a_run_that_counts_is_kept_whatever_names_do(store, clock, gc):
    refs = published(store, clock, "model", 2)
    clock.now += GRACE
    record_store.write(store, "runs/01M0000000AAAAAAAAAAAAAAAA/run.json", {"run": 1, "in": {"x": [refs[0]]}})
    policy = policy_of(1, ["1"])
    gc(policy), gc(policy)

    assert exist(store, refs) == [True, True]


def test_the_rules_are_asked_for_each_name_and_not_for_each_of_its_publications(store, clock, gc, monkeypatch):
    published(store, clock, "model", 20)
    asked = []
    monkeypatch.setattr(policy_module, "fnmatchcase", lambda name, glob: asked.append((name, glob)))

    gc(policy_of(None, ["other-*=1", "others=2"]))

    assert len(asked) <= 2 * 2
