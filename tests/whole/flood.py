"""A flood of clients that never finish what they begin, in a process of its own: ``python flood.py PORT``.

Says "ready" when all are connected, and goes on, a byte to each every now and then, until its standard input ends.
"""

from __future__ import annotations

import resource
import select
import socket
import ssl
import sys
from contextlib import suppress

SILENT, TRICKLING, IN_THE_HEAD = 500, 800, 200
ALL = SILENT + TRICKLING + IN_THE_HEAD
SERVER_NAME = "a.k8s.example.test"
HEAD = b"GET /version HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 500


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def hello() -> bytes:
    """The first flight of a handshake."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=SERVER_NAME).do_handshake()
    return outgoing.read()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    port = int(sys.argv[1])
    connected = [
        socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(f"127.0.0.{2 + n % 28}", 0))
        for n in range(ALL)
    ]
    begun = hello()
    slow: list[tuple[socket.socket, bytes]] = [(tcp, begun) for tcp in connected[SILENT : SILENT + TRICKLING]]
    speaking = context()
    slow += [(speaking.wrap_socket(tcp, server_hostname=SERVER_NAME), HEAD) for tcp in connected[SILENT + TRICKLING :]]
    print("ready", flush=True)
    for place in range(len(begun) - 1):
        for peer, said in slow:
            peer.sendall(said[place : place + 1])
        if select.select([sys.stdin], [], [], 0.1)[0]:
            return


if __name__ == "__main__":
    main()
