"""Files on their way out: streamed, never shown by a browser as a page of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, BinaryIO
from urllib.parse import quote

from fastapi import Query
from starlette.responses import StreamingResponse

CHUNK_BYTES = 256 * 1024
OFFSET_MAX = 2**43  # 8 TiB; some file systems refuse to look beyond 16

Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX, description="Where to start, in bytes.")]


def download(content: BinaryIO, *, name: str, size: int, offset: int) -> StreamingResponse:
    """Answer with the bytes of `content` from `offset` up to the `size` it had when it was opened.

    A file that grows meanwhile is sent up to that size. One that shrinks breaks the connection, so
    that nobody takes the piece for the whole.
    """
    length = max(size - offset, 0)
    filename = quote(PurePosixPath(name).name, safe="")
    return StreamingResponse(
        _chunks(content, offset, length),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(length),
            "Content-Disposition": f"attachment; filename*=UTF-8''{filename}",
        },
    )


def _chunks(content: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    with content:
        if length > 0:
            content.seek(offset)
        while length > 0:
            chunk = content.read(min(CHUNK_BYTES, length))
            if not chunk:
                return
            length -= len(chunk)
            yield chunk
