"""Free ports of this machine."""

import socket
from contextlib import ExitStack


def free_port() -> int:
    """Return a port that was free a moment ago."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many different free ports."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(open_socket.getsockname()[1]) for open_socket in sockets]
