"""Fixtures of the pages: the program in this process, over the store of the test, and what a browser would ask it."""

from __future__ import annotations

import asyncio
import http.client
import threading
from contextlib import closing, contextmanager
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from lucas_storage.storage import Storage
from lucas_storage.ui.application import Application
from lucas_storage.ui.connection import Connection, OpenedStore
from lucas_storage.ui.gate import Gate
from lucas_storage.ui.serving import answering, bound


class Parsed(HTMLParser):
    """The elements, the attributes and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.parts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attributes]

    def handle_data(self, data):
        self.parts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.parts).split())

    def form_code(self):
        """Return what lets a form of the page be sent once."""
        names = [value for tag, name, value in self.attributes if (tag, name) == ("input", "name")]
        values = [value for tag, name, value in self.attributes if (tag, name) == ("input", "value")]
        return values[names.index("once")]

    def links(self):
        return [value for tag, name, value in self.attributes if (tag, name) == ("a", "href")]


class Answer:
    """An answer to a request."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def page(self):
        return Parsed(self.body.decode())


class Pages:
    """Asks the program as a browser does that was given its address."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}/{token}/"

    def ask(self, path, method="GET", body=None, **headers):
        """Return the answer to a request for any path."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers={"Host": self.host, **headers})
            return Answer(connection.getresponse())

    def send(self, page, fields, language="en", **headers):
        """Return the answer to a form, with names and values, of a page."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{self.host}"}
        headers = {**kind, "Accept-Language": language, **headers}
        return self.ask(f"/{self.token}/{page}", "POST", urlencode(fields), **headers)

    def show(self, page, language="en", **query):
        """Return the answer to a request for a page."""
        address = f"/{self.token}/{page}?{urlencode(query)}"
        return self.ask(address, **{"Accept-Language": language})


@contextmanager
def served(opener, language=None):
    """Yield the pages of a store, from an event loop on a thread."""
    listening = bound(0)
    gate = Gate(listening.getsockname()[1])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="ui-loop")
    thread.start()
    try:
        with (
            closing(Connection(opener)) as connection,
            closing(Application(connection, gate, language, "127.0.0.1:1")) as application,
        ):
            answers = answering(application, listening)
            asyncio.run_coroutine_threadsafe(answers.__aenter__(), loop).result(30)
            yield Pages(listening.getsockname()[1], gate.token)
            asyncio.run_coroutine_threadsafe(answers.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def opened(data=None):
    with Storage() as storage:
        yield OpenedStore(storage, data)


@pytest.fixture
def pages(storage):
    """The pages of the store of this test."""
    with served(opened) as found:
        yield found
