"""An S3 store through obstore and through boto3, with the calls that the product's client has."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from benchmarks.cases import Arm, Missing

BUCKET = "lucas-storage"
CLIENTS = ("obstore", "boto3")


@dataclass(frozen=True)
class Store:
    """A running S3 store: where it is, with which keys, and its processes."""

    name: str
    endpoint: str
    access_key: str
    secret_key: str
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Absent:
    """A store that cannot run here."""

    name: str
    reason: str


class ObstorePeer:
    """Calls through obstore, whose HTTP client is Rust's."""

    def __init__(self, store):
        import obstore.store

        keys = {"access_key_id": store.access_key, "secret_access_key": store.secret_key, "region": "us-east-1"}
        self._store = obstore.store.S3Store(
            BUCKET, config={"endpoint": store.endpoint, **keys}, client_options={"allow_http": True}
        )

    def put(self, key, data):
        self._store.put(key, data)

    def get(self, key):
        return self._store.get(key).bytes()

    def head(self, key):
        self._store.head(key)

    def upload(self, key, path):
        self._store.put(key, path)

    def download(self, key, path):
        with path.open("wb") as file:
            file.writelines(self._store.get(key).stream(min_chunk_size=8 << 20))


class Boto3Peer:
    """Calls through boto3, with the settings it comes with."""

    def __init__(self, store):
        import boto3
        from botocore.config import Config

        # Ceph refuses the checksums that boto3 adds to a stream of its own accord
        config = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
        )
        self._client = boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
            region_name="us-east-1",
            config=config,
        )

    def put(self, key, data):
        self._client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def get(self, key):
        return self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def head(self, key):
        self._client.head_object(Bucket=BUCKET, Key=key)

    def upload(self, key, path):
        self._client.upload_file(str(path), BUCKET, key)

    def download(self, key, path):
        self._client.download_file(BUCKET, key, str(path))


PEERS = {"obstore": ObstorePeer, "boto3": Boto3Peer}


def peers(store):
    """Return the clients of a store by the name of their arms, each a peer or the reason for its absence."""
    found = {}
    for client in CLIENTS:
        if isinstance(store, Absent):
            found[f"{client}, {store.name}"] = store.reason
        elif importlib.util.find_spec(client) is None:
            found[f"{client}, {store.name}"] = f"not measured: {client} is not installed"
        else:
            found[f"{client}, {store.name}"] = PEERS[client](store)
    return found


def present(store):
    """Return the clients of a store that are there."""
    return [peer for peer in peers(store).values() if not isinstance(peer, str)]


def arms(stores, action, clients=CLIENTS, **options):
    """Return an arm for each client of each store; `action` takes the peer and the number of a call."""
    for store in stores:
        for name, peer in peers(store).items():
            if not name.startswith(clients):
                continue
            if isinstance(peer, str):
                yield Missing(name, peer)
            else:
                yield Arm(name, lambda number, peer=peer: action(peer, number), store.pids, **options)
