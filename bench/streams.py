"""The upstream for what nginx cannot do: a watch that is held, and an upgrade whose bytes come back.

``streams.py DIRECTORY PORT``
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

WATCH = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'12\r\n{"type":"ADDED"  }\r\n'
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"\r\nupgrade: spdy/3.1" not in head.lower():
            writer.write(WATCH)
            await reader.read()
            return
        writer.write(SWITCH)
        while data := await reader.read(262144):
            writer.write(data)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main(directory: Path, port: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "upstream.crt", directory / "upstream.key")
    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
