"""A port on this machine that counts who knocks: what must make no connection is tried against it."""

from __future__ import annotations

import socket
from contextlib import contextmanager


@contextmanager
def listener():
    """Gives the port, and a function that counts the connections since the last time it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.02)

        def count():
            knocks = 0
            try:
                while True:
                    server.accept()[0].close()
                    knocks += 1
            except TimeoutError:
                return knocks

        yield server.getsockname()[1], count
