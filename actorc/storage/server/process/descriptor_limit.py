"""The limit of file descriptors of a process that serves."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)


def raise_limit() -> None:
    """Raise the soft limit of file descriptors to the hard one; the usual soft limit is meant for `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        # some systems allow fewer than the hard limit says; then the limit stays as it is
        log.debug("the limit of file descriptors is left as it is", exc_info=True)
