"""Reads names and garbage."""

from __future__ import annotations

from lucas_storage import settings
from lucas_storage.gc.collect import collect
from lucas_storage.gc.plan import FateState
from lucas_storage.gc.policy import stored_policy
from lucas_storage.records.name_listing import published_names
from lucas_storage.ui.pages.garbage import STATES, GarbageView, garbage_page
from lucas_storage.ui.pages.names import names_page
from lucas_storage.ui.pages.page import Page

from .request import Request


def names(request: Request) -> Page:
    """Return the list of published names."""
    return names_page(published_names(request.storage), request.reader)


def garbage(request: Request) -> Page:
    """Return the page about the next collection, after one that removes nothing."""
    present = settings.resolve()
    grace, ttl = present.grace.value, present.ttl.value
    policy = stored_policy(request.storage)
    found = collect(request.storage, grace=grace, ttl=ttl, policy=policy)
    state: FateState = next((each for each in STATES if each == request.query.get("state")), "due")
    return garbage_page(GarbageView(found=found, grace=grace, ttl=policy.seconds(ttl), state=state), request.reader)
