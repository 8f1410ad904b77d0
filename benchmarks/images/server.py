"""An HTTP server of image files on every address of the loopback network, with a latency.

    python -m benchmarks.images.server FOLDER LATENCY_SECONDS

prints its port, and serves `/N/NAME` for any N: as many addresses as one wants of each file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path


async def serve(folder: Path, latency: float) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                name = head.split(b" ", 2)[1].decode().rsplit("/", 1)[-1]
                await asyncio.sleep(latency)
                body = files.get(name)
                status = b"404 Not Found" if body is None else b"200 OK"
                body = body or b""
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                    % (status, len(body))
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
