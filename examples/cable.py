"""A network cable between an agent and its hub, for the example beside this file.

``python cable.py PORT HUB_PORT`` listens on loopback and carries everything to the hub. As long
as it runs the network is there; when it is killed, every connection through it breaks.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Passes on what comes, until one of the two ends."""
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def main(port: int, hub_port: int) -> None:
    """Carries connections until the process ends."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", hub_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, hub_writer), carry(hub_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
