"""Ctrl-C while a call runs: the next call does not wait on what the interrupt left behind."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from actorc.storage import StorageClient
from actorc.storage._rpc.grpc.channels import Channels


@pytest.fixture
def channels():
    with StorageClient("127.0.0.1:1", local=False) as client:
        pool = Channels(client._options, "127.0.0.1:1")
        yield pool
        pool.close()


def leased(channels, error=None):
    """Lease a channel for a stream that ends with `error`; return it."""
    with ExitStack() as ended:
        if error is not None:
            ended.enter_context(pytest.raises(type(error)))
        connection = ended.enter_context(channels.connection(streams=True))
        if error is not None:
            raise error
    return connection._channel


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_a_channel_in_which_a_call_was_interrupted_is_not_used_again(channels, error):
    before = leased(channels)

    assert leased(channels, error) is before
    assert leased(channels) is not before


@pytest.mark.parametrize("error", [None, ValueError("of the caller"), GeneratorExit()])
def test_a_channel_whose_call_ended_otherwise_is(channels, error):
    before = leased(channels, error)

    assert leased(channels) is before
