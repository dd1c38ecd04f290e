"""The body of an HTTP/1.1 request, framed as RFC 9112 says and in no other way.

werkzeug's reader takes a body that was cut short for a whole one, some lengths that are none, and no chunk extensions
or trailers; what follows from that would run a function on half a request.
"""

import re
from collections.abc import Sequence
from typing import BinaryIO

_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\0\r\n]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0\r\n]*")
_LINE_END = b"\r\n"
_LONGEST_LINE = 8192
_MOST_TRAILERS = 100


class BadBodyError(Exception):
    """Where the body ends is not said, or said twice, or it ended before."""


def read_body(headers: Sequence[tuple[str, str]], stream: BinaryIO, most: int) -> bytes:
    """Read a request's body.

    Args:
        headers: The request's.
        stream: What follows them; ``read`` blocks until it has everything or the client has ended.
        most: How many bytes to read of a larger body.

    Raises:
        BadBodyError: There is no telling what the body is.
    """
    encodings = _values(headers, "transfer-encoding")
    lengths = _values(headers, "content-length")
    if encodings:
        if lengths or [encoding.lower() for encoding in encodings] != ["chunked"]:
            raise BadBodyError("Transfer-Encoding is not chunked alone")
        return _read_chunks(stream, most)
    if not lengths:
        return b""
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadBodyError("Content-Length is not one number")
    return _read(stream, min(int(lengths[0]), most))


def _values(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


def _read_chunks(stream: BinaryIO, most: int) -> bytes:
    content = bytearray()
    while size := _read_chunk_size(stream):
        content += _read(stream, min(size, most - len(content)))
        if len(content) == most:
            return bytes(content)
        if _read(stream, 2) != _LINE_END:
            raise BadBodyError("a chunk is not as long as it says")
    for _ in range(_MOST_TRAILERS):
        trailer = _read_line(stream)
        if not trailer:
            return bytes(content)
        if not _TRAILER.fullmatch(trailer):
            raise BadBodyError("a trailer is none")
    raise BadBodyError("too many trailers")


def _read_chunk_size(stream: BinaryIO) -> int:
    match = _CHUNK.fullmatch(_read_line(stream))
    if match is None:
        raise BadBodyError("a chunk has no size")
    return int(match[1], 16)


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(_LINE_END):
        raise BadBodyError("a line does not end")
    return line.removesuffix(_LINE_END)


def _read(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise BadBodyError("the body was cut short")
    return content
