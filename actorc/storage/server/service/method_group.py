"""What the groups of methods of the service have in common: the store, as the caller of a call may use it."""

from __future__ import annotations

from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.store.store import ObjectStore

from .call import Call


class MethodGroup:
    """Some methods of the service, each with the permissions of its caller. Any thread may call them.

    Args:
        store: The operations.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def _as(self, call: Call) -> AuthorizedStore:
        return AuthorizedStore(self._store, call.principal)
