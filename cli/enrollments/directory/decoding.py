"""Decodes a directory file.  It detects the encoding of a text, and names the format of any other file."""

import codecs
import io
from collections.abc import Buffer
from typing import BinaryIO, override

from enrollments.files import BadFile

# Replaces bytes that cannot be decoded.  No encoding has this code point.
UNREADABLE = "\udcff"

_HEAD_BYTES = 128
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, because it begins with that one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE_AS_CSV = "save the sheet as CSV in UTF-8"
_DECOMPRESS = "decompress it first"
_OTHER_FORMATS = (
    (b"PK\x03\x04", f"is a workbook (.xlsx, .ods) or another zip archive; {_SAVE_AS_CSV}"),
    (b"\xd0\xcf\x11\xe0", f"is a workbook (.xls); {_SAVE_AS_CSV}"),
    (b"\x1f\x8b", f"is compressed (gzip); {_DECOMPRESS}"),
    (b"BZh", f"is compressed (bzip2); {_DECOMPRESS}"),
    (b"\xfd7zXZ", f"is compressed (xz); {_DECOMPRESS}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed (zstd); {_DECOMPRESS}"),
    (b"%PDF", f"is a PDF document; {_SAVE_AS_CSV}"),
)
_MARK_UNREADABLE = "enrollments.mark_unreadable"


def refuse_other_formats(head: bytes) -> None:
    """Refuse a file that is neither CSV nor JSON Lines.

    Args:
        head: The file's first bytes.

    Raises:
        BadFile: The bytes are typical of another format.  The reason names it.
    """
    for signature, reason in _OTHER_FORMATS:
        if head.startswith(signature):
            raise BadFile(reason)
    if head.lstrip().startswith(b"<"):
        raise BadFile(f"is XML or HTML; {_SAVE_AS_CSV}")


def open_text(stream: BinaryIO) -> io.TextIOWrapper:
    """Return a file as text.  Its encoding is UTF-8, or UTF-16 or UTF-32 as spreadsheets write it.

    Line ends stay as they are.  ``UNREADABLE`` replaces bytes that cannot be decoded.

    Args:
        stream: The file, at its beginning.

    Raises:
        BadFile: It is not a text.
    """
    head = stream.read(_HEAD_BYTES)
    refuse_other_formats(head)
    encoding = _encoding_without_mark(head)
    for mark, marked in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            head, encoding = head.removeprefix(mark), marked
            break
    if encoding == "utf-8" and b"\0" in head:
        raise BadFile("is a binary file: neither CSV nor JSON Lines")
    rest = io.BufferedReader(_Continued(head, stream))
    return io.TextIOWrapper(rest, encoding=encoding, errors=_MARK_UNREADABLE, newline="")


def _encoding_without_mark(head: bytes) -> str:
    """Detect UTF-16 without a byte order mark by its zero bytes.  A file of rows begins with ASCII."""
    even, odd = head[:4:2], head[1:4:2]
    if len(odd) == len(even) and any(even) and not any(odd):
        return "utf-16-le"
    if len(odd) == len(even) and any(odd) and not any(even):
        return "utf-16-be"
    return "utf-8"


class _Continued(io.RawIOBase):
    """A stream, with the bytes that have been read from it put back."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        content = self._head[: len(view)] or self._stream.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(content)] = content
        return len(content)


def _mark_unreadable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNREADABLE, error.end


codecs.register_error(_MARK_UNREADABLE, _mark_unreadable)
