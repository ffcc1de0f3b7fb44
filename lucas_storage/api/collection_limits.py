"""The parameters of routes that depend on how long records count, and what they mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from lucas_storage import settings
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.gc.judged_records import Judging
from lucas_storage.gc.policy import Policy, stored_policy

from .request_store import OfStore

_DEFAULTS: Final = settings.built_in()
_TTL: Final = (
    "Seconds for which records of runs and results count; without it the policy of the bucket decides, or 30 days."
)


class OfCollection(OfStore):
    """How long records count."""

    grace: Annotated[
        int, msgspec.Meta(ge=0, le=10**10, description="Seconds since an object was stored last in which it stays.")
    ] = int(_DEFAULTS.grace.value)
    ttl: Annotated[int, msgspec.Meta(ge=0, le=10**10)] | Annotated[None, msgspec.Meta(description=_TTL)] = None


def judging(
    storage: ArtifactStore, limits: OfCollection, policy_of: Callable[[ArtifactStore], Policy] = stored_policy
) -> Judging:
    """Return what decides how long records count, for collections of the default bucket of `storage`.

    Raises:
        PolicyError: By `policy_of`, the bucket has a policy that cannot be read.
    """
    # By the clock of this process: it is the server's, which wrote down when objects were stored.
    ttl = _DEFAULTS.ttl.value if limits.ttl is None else float(limits.ttl)
    policy = policy_of(storage)
    return Judging(
        policy=policy if limits.ttl is None else policy.without_days(), ttl=ttl, grace=limits.grace, now=time.time()
    )
