"""What the garbage collector of a server's process looks through."""

from __future__ import annotations

import gc
import weakref

from actorc.storage.server.process.garbage_collection import without_loaded_objects


class Node:
    """An object that can refer to itself."""


def test_objects_of_before_are_not_looked_through_and_garbage_of_meanwhile_is_found():
    before = Node()
    with without_loaded_objects():
        assert not any(each is before for each in gc.get_objects())
        made = Node()
        made.itself = made
        found = weakref.ref(made)
        del made
        gc.collect()
        assert found() is None

    assert gc.get_freeze_count() == 0
    assert any(each is before for each in gc.get_objects())
