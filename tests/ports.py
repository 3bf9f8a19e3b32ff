"""A loopback port for a peer that is not there, or not yet: nobody else is given it meanwhile.

A port that was free a moment ago is soon somebody's, on a machine where many tests open servers.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved() -> Iterator[int]:
    """A port on 127.0.0.1 that refuses whoever connects, until a server of the test itself listens there.

    Such a server must set SO_REUSEADDR, as those of asyncio do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
