"""The names that `lucas.worker` imports. It makes a producer as it starts, which sends nothing until ``rt.tell``."""

from __future__ import annotations


class Producer:
    def __init__(self, name):
        self.name = name

    def set_name_server_address(self, address):
        self.address = address

    def start(self):
        """Do nothing: the genuine one connects when it sends."""

    def send_sync(self, message):
        raise ConnectionError(f"no message of this test has a broker at {self.address}")


class Message:
    pass


class PushConsumer:
    pass


class ConsumeStatus:
    CONSUME_SUCCESS = 0
    RECONSUME_LATER = 1
