"""Which process runs which call: the pool with processes that do as they are told."""

from __future__ import annotations

import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local.functions import Function
from actorc.controller.local.pool_state import Task, WorkerGroup
from actorc.controller.local.worker_pool import Pool

GIVEN_UP = (
    "and was given up with the worker process it ran in; look at what it waits for, or give it more with 'timeout' at "
    "its decorator or 'lucas-storage controller --call-timeout'"
)


class Process:
    """Remembers its orders; returns from calls and ends when the test says so."""

    def __init__(self, floor, venv, on_return, on_end):
        self.floor, self.venv, self.on_return, self.on_end = floor, venv, on_return, on_end
        self.added, self.calls = [], {}

    def add(self, function):
        self.added.append(function)

    def remove(self, function):
        self.added.remove(function)

    def execute(self, call_id, function, args, method):
        self.calls[call_id] = function.name

    def end(self):
        self.floor.ending.append(self)

    def kill(self):
        self.floor.killed.append(self)
        self.end()

    def wait(self):
        pass


class Floor:
    """A pool, what runs in it, and what came back."""

    def __init__(self, size):
        self.now = 0.0
        self.killed = []
        self.on_ready, self.are_ready_at_once = [], True
        self.processes, self.ending, self.returned, self.lost = [], [], [], []
        self.pool = Pool(size, self.start, lambda: self.now, timeout=10)
        self.groups = {}

    def start(self, venv, on_return, on_end, on_ready):
        self.processes.append(Process(self, venv, on_return, on_end))
        self.on_ready.append(on_ready)
        if self.are_ready_at_once:
            on_ready()
        return self.processes[-1]

    def submit(self, function, count=1):
        group = self.groups.setdefault((function.venv, function.keeps_state), WorkerGroup(function.venv))
        tasks = [self.task(function) for _ in range(count)]
        for task in tasks:
            self.pool.submit(group, task)
        return tasks

    def task(self, function):
        return Task(function=function, args={}, on_return=self.returned.append, on_loss=self.lost.append)

    def finish(self, process):
        call_id = next(iter(process.calls))
        del process.calls[call_id]
        process.on_return(call_id, process.venv)

    def end(self, process, ending="ended by signal 9"):
        self.processes.remove(process)
        process.on_end(ending)

    @property
    def running(self):
        return [sorted(process.calls.values()) for process in self.processes]


@pytest.fixture
def floor():
    return Floor(2)


def function(name="f", venv="a", replicas=1, **fields):
    return Function(name=name, venv=venv, handler=b"", language=pb.LANGUAGE_PYTHON, replicas=replicas, **fields)


def an_object(name="o", venv="a"):
    return function(name, venv, methods={"C.m": ()}, keeps_state=True)


def test_each_replica_has_a_process_and_one_call_at_a_time(floor):
    floor.submit(function(replicas=2), 3)
    first = floor.running
    floor.finish(floor.processes[1])

    assert first == [["f"], ["f"]]
    assert floor.running == [["f"], ["f"]]
    assert len(floor.returned) == 1


def test_no_process_is_started_for_calls_one_after_the_other(floor):
    wanted = function(replicas=2)
    for _ in range(3):
        floor.submit(wanted)
        floor.finish(floor.processes[0])

    assert floor.running == [[]]
    assert floor.processes[0].added == [wanted]


def test_functions_of_a_venv_share_its_process(floor):
    floor.submit(function("f"), 2)
    floor.submit(function("g"))

    assert floor.running == [["f", "g"]]


def test_replicas_beyond_the_bound_wait_for_those_there_are(floor):
    floor.submit(function(replicas=5), 5)
    running = floor.running
    for _ in range(4):
        floor.finish(floor.processes[0])

    assert running == [["f"], ["f"]]
    assert floor.running == [[], ["f"]]


def test_an_idle_process_makes_room_for_another_venv_once_it_has_ended(floor):
    floor.submit(function(venv="a", replicas=2), 2)
    floor.finish(floor.processes[0])
    floor.submit(function(venv="b"))
    before = floor.running
    floor.end(floor.ending[0])

    assert before == [[], ["f"]]
    assert [process.venv for process in floor.processes] == ["a", "b"]
    assert floor.running == [["f"], ["f"]]
    assert floor.lost == []


def test_the_process_that_was_idle_for_longest_goes_first(floor):
    one, two = function(venv="a"), function(venv="b")
    for each in (one, two, one):
        floor.submit(each)
        floor.finish(floor.processes[0 if each is one else 1])
    floor.submit(function(venv="c"))

    assert [process.venv for process in floor.ending] == ["b"]


def test_a_venv_without_a_process_gets_one_after_another_ones_turn():
    floor = Floor(1)
    floor.submit(function(venv="a"), 9)
    floor.submit(function(venv="b"))
    floor.finish(floor.processes[0])
    during = list(floor.ending)
    floor.now = 10.0
    floor.finish(floor.processes[0])
    floor.end(floor.ending[0])
    middle = [process.venv for process in floor.processes]
    floor.finish(floor.processes[0])
    floor.end(floor.ending[1])

    assert during == []
    assert middle == ["b"]
    assert [process.venv for process in floor.processes] == ["a"]
    assert floor.running == [["f"]]


def test_a_worker_that_dies_fails_what_it_ran_and_is_replaced_for_what_waits(floor):
    floor.submit(function("f"), 2)
    floor.submit(function("g"))
    floor.end(floor.processes[0])

    assert floor.lost == [
        "the worker of venv 'a' ended by signal 9 while it ran 'f'",
        "the worker of venv 'a' ended by signal 9 while it ran 'g'",
    ]
    assert floor.running == [["f"]]


def test_a_process_that_cannot_be_started_fails_the_calls_that_need_it(floor):
    def start(*_):
        raise BlockingIOError(11, "no room")

    floor.pool = Pool(2, start)
    floor.submit(function(), 2)

    assert floor.lost == ["the worker of venv 'a' could not be started because of [Errno 11] no room"] * 2


def test_a_call_that_was_given_up_is_not_begun(floor):
    tasks = floor.submit(function(), 3)
    tasks[1].is_given_up = True
    floor.finish(floor.processes[0])

    assert [task.has_begun for task in tasks] == [True, False, True]


def test_a_function_that_was_replaced_is_taken_from_workers(floor):
    old, new = function(), function()
    floor.submit(old)
    floor.pool.forget(floor.groups["a", False], old)
    floor.submit(new)

    assert floor.processes[0].added == [new]
    assert floor.running == [["f", "f"]]


def test_the_processes_of_a_venv_that_is_closed_end_when_they_are_idle(floor):
    floor.submit(function(replicas=2), 2)
    floor.finish(floor.processes[0])
    floor.pool.close(floor.groups["a", False])
    idle = list(floor.ending)
    floor.finish(floor.processes[1])

    assert idle == [floor.processes[0]]
    assert floor.ending == floor.processes


def test_a_process_that_works_for_nobody_any_more_makes_room_for_one_that_does():
    floor = Floor(1)
    floor.submit(function(venv="a"))
    floor.pool.close(floor.groups["a", False])
    floor.submit(function(venv="b"))
    floor.end(floor.ending[0])

    assert [process.venv for process in floor.processes] == ["b"]
    assert floor.running == [["f"]]


def test_many_venvs_on_one_process_all_get_their_calls_done():
    floor = Floor(1)
    for number in range(5):
        floor.submit(function(venv=str(number)), 3)
    while floor.processes:
        floor.now += 0.3
        process = floor.processes[0]
        if process.calls:
            floor.finish(process)
        elif process in floor.ending:
            floor.end(process)
        else:
            break

    assert len(floor.returned) == 15
    assert floor.lost == []


def test_a_call_that_does_not_return_in_time_fails_by_name_and_its_process_is_replaced(floor):
    floor.submit(function("f"), 2)
    before = floor.pool.expire()
    floor.now = 10.0
    floor.pool.expire()
    stuck = floor.processes[0]
    floor.end(stuck)

    assert before == 10
    assert floor.lost == [f"'f' did not return within 10 seconds {GIVEN_UP}"]
    assert floor.killed == [stuck]
    assert floor.running == [["f"]]


def test_a_function_may_say_itself_how_long_it_takes(floor):
    floor.submit(function("slow", timeout=60))
    floor.submit(function("quick", timeout=1))
    floor.now = 30.0
    next_one = floor.pool.expire()

    assert [told.partition(" seconds")[0] for told in floor.lost] == ["'quick' did not return within 1"]
    assert next_one == 30


def test_calls_beside_one_that_is_stuck_finish_first_while_another_process_takes_over(floor):
    stuck, beside = function("stuck", timeout=1), function("beside")
    floor.submit(stuck)
    floor.submit(beside)
    floor.now = 1.0
    floor.pool.expire()
    floor.submit(function("next"))
    meanwhile = floor.running, list(floor.killed)
    old = floor.processes[0]
    del old.calls["1"]
    floor.finish(old)

    assert meanwhile == ([["beside", "stuck"], ["next"]], [])
    assert len(floor.lost) == len(floor.returned) == 1
    assert floor.killed == [old]


def test_what_a_call_returns_after_it_was_given_up_is_dropped(floor):
    floor.submit(function())
    floor.now = 10.0
    floor.pool.expire()
    floor.finish(floor.processes[0])

    assert (len(floor.lost), floor.returned) == (1, [])


def test_calls_that_returned_are_not_looked_at_again(floor):
    for _ in range(1000):
        floor.submit(function())
        floor.finish(floor.processes[0])
        floor.pool.expire()

    assert floor.pool.expire() is None
    floor.now = 100.0
    floor.pool.expire()
    assert floor.lost == []


def test_the_time_that_a_process_takes_to_start_is_not_the_calls(floor):
    floor.are_ready_at_once = False
    floor.submit(function())
    floor.now = 30.0
    floor.pool.expire()
    floor.on_ready[0]()
    floor.now = 39.0
    floor.pool.expire()
    in_time = list(floor.lost)
    floor.now = 40.0
    floor.pool.expire()

    assert (in_time, floor.lost) == ([], [f"'f' did not return within 10 seconds {GIVEN_UP}"])


def test_a_process_that_never_gets_ready_is_given_up_too(floor):
    floor.are_ready_at_once = False
    floor.submit(function())
    floor.now = 70.0
    floor.pool.expire()

    assert len(floor.lost) == 1
    assert floor.killed == floor.processes


def test_a_call_that_waits_is_not_under_way(floor):
    slow = function(timeout=10)
    floor.submit(slow, 2)
    floor.now = 9.0
    floor.finish(floor.processes[0])
    floor.now = 18.0
    floor.pool.expire()

    assert floor.lost == []


def test_objects_beside_one_that_is_stuck_keep_their_process():
    floor = Floor(1)
    one, two = an_object("one"), an_object("two")
    floor.submit(two)
    floor.finish(floor.processes[0])
    floor.submit(one, 2)
    floor.now = 10.0
    floor.pool.expire()
    floor.submit(two)

    assert floor.killed == []
    assert floor.lost[0].startswith("'C' did not return within 10 seconds and was given up")
    assert floor.lost[1:] == ["the object of class 'C' is gone with what it knew; 'C' did not return within 10 seconds"]
    assert floor.running == [["one", "two"]]


def test_an_object_is_never_idle_enough_to_make_room():
    floor = Floor(1)
    floor.submit(an_object(venv="a"))
    floor.finish(floor.processes[0])
    floor.submit(function(venv="b"))

    assert floor.ending == []
    assert floor.lost[0].startswith("'f' finds no worker process, as objects live in all 1 that there may be")


def test_calls_that_wait_for_an_object_do_not_go_to_another_one_of_its_name(floor):
    old, new = an_object(), an_object()
    floor.submit(old, 2)
    floor.pool.forget(floor.groups["a", True], old)
    floor.finish(floor.processes[0])
    floor.submit(new)

    assert floor.lost == [
        "the object of class 'C' is gone with what it knew; another one was registered under its name"
    ]
    assert [function for process in floor.processes for function in process.added] == [new]
    assert len(floor.returned) == 1


def test_an_object_has_the_process_of_one_that_was_replaced_once_no_call_runs_there():
    floor = Floor(8)
    first, second, third = an_object(), an_object(), an_object()
    floor.submit(first)
    floor.pool.forget(floor.groups["a", True], first)
    floor.submit(second)
    for process in floor.processes:
        floor.finish(process)
    floor.pool.forget(floor.groups["a", True], second)
    floor.submit(third)

    assert [process.added for process in floor.processes] in ([[third], []], [[], [third]])
