"""Read by every Python with this folder on its path: no address but this machine's is reached.

Who asked for another one is a line in the file that PNEUMO_NETWORK_LOG names.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

LOG = Path(os.environ["PNEUMO_NETWORK_LOG"])
HERE = {"", "localhost", "::1", "0.0.0.0", "::", socket.gethostname()}

_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


def _check(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in HERE or name.startswith("127."):
        return
    with LOG.open("a") as log:
        log.write(f"{name} asked for by {' '.join(sys.orig_argv)}\n")
    raise OSError(f"The network is closed: {name}")


def _check_address(address: Any) -> None:
    if isinstance(address, tuple):  # and no socket of a file
        _check(address[0])


def connect(self: socket.socket, address: Any) -> None:
    _check_address(address)
    return _connect(self, address)


def connect_ex(self: socket.socket, address: Any) -> int:
    _check_address(address)
    return _connect_ex(self, address)


def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    _check(host)
    return _getaddrinfo(host, *arguments, **options)


socket.socket.connect = connect
socket.socket.connect_ex = connect_ex
socket.getaddrinfo = getaddrinfo
