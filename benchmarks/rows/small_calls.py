"""Put, get and head of 4 KiB: one after another, from sixteen threads, and a thousand in a batch."""

from __future__ import annotations

import os

from benchmarks.cases import Arm, Case, Missing, Speed, Time, size_text
from benchmarks.peers import s3
from benchmarks.services import TCP, UNIX
from benchmarks.setting import BUCKET

ECHO = "bare gRPC call"
GO = "obstore, JuiceFS"
ACTIONS = {
    "get_object": lambda client, _: client.get_object(BUCKET, "small"),
    "head_object": lambda client, _: client.head_object(BUCKET, "small"),
}
PEERS = {"get_object": lambda peer, _: peer.get("small"), "head_object": lambda peer, _: peer.head("small")}
AT_MOST = {
    "put_object": {UNIX: 1.5, TCP: 2.5},
    "get_object": {UNIX: 0.5, TCP: 1.6},
    "head_object": {UNIX: 0.5, TCP: 1.6},
}


def cases(setting):
    data = os.urandom(setting.scale.small)
    actions = {"put_object": lambda client, number: client.put_object(BUCKET, f"put-{number}", data), **ACTIONS}
    theirs = {"put_object": lambda peer, number: peer.put(f"put-{number}", data), **PEERS}
    for client in setting.clients.values():
        client.put_object(BUCKET, "small", data)
    for store in setting.stores:
        for peer in s3.present(store)[:1]:
            peer.put("small", data)
    for name, action in actions.items():
        yield _one_by_one(setting, name, action, theirs[name], data)
    for name, action in actions.items():
        yield _from_threads(setting, name, action, theirs[name], data)
    yield from _batches(setting, data)


def _one_by_one(setting, name, action, theirs, data):
    targets = {transport: Time(most, (ECHO,)) for transport, most in AT_MOST[name].items()}
    arms = [
        *setting.ours(name, action, targets),
        Arm(ECHO, lambda _: setting.bare.echo(data), setting.bare.pids),
        *s3.arms(setting.stores, theirs),
    ]
    title = f"{name}, {size_text(len(data))}{', durable' if name == 'put_object' else ''}"
    return Case(title, arms, calls=setting.scale.calls, rounds=setting.scale.rounds)


def _from_threads(setting, name, action, theirs, data):
    threads = setting.scale.threads
    targets = {UNIX: Speed(1, (GO,)), TCP: Speed(0.6, (ECHO,))}
    arms = [
        *setting.ours(name, action, targets, threads=threads),
        Arm(ECHO, lambda _: setting.bare.echo(data), setting.bare.pids, threads=threads),
        *s3.arms(setting.stores, theirs, threads=threads),
    ]
    title = f"{name}, {size_text(len(data))}, {threads} threads"
    return Case(title, arms, calls=2 * setting.scale.calls, rounds=setting.scale.rounds)


def _batches(setting, data):
    """Yield the batches up and down, each beside the same objects one by one."""
    count = setting.scale.batch
    keys = [f"batch-{number}" for number in range(count)]

    def one_by_one_up(client, _):
        for key in keys:
            client.put_object(BUCKET, key, data)

    def one_by_one_down(client, _):
        for key in keys:
            client.get_object(BUCKET, key)

    def batch_up(client, _):
        assert not client.put_objects(BUCKET, dict.fromkeys(keys, data))["errors"]

    def batch_down(client, _):
        assert not client.get_objects(BUCKET, keys)["errors"]

    ways = {"put_objects": (batch_up, one_by_one_up), "get_objects": (batch_down, one_by_one_down)}
    for name, (batch, single) in ways.items():
        alone = f"{count} x {name.removesuffix('s')}"
        targets = {TCP: Speed(10, (f"{alone}, {TCP}",))}
        arms = list(setting.ours(name, batch, targets))
        if not hasattr(setting.clients[TCP], name):
            reason = f"not measured: this version has no {name}"
            arms = [Missing(arm.name, reason, arm.transport, arm.target) for arm in arms]
        arms += setting.ours(alone, single, {})
        yield Case(f"{name}, {count} of {size_text(len(data))}", arms, rounds=min(2, setting.scale.rounds))
