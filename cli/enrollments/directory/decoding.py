"""What a directory file is made of: text in an encoding that is found out, or something that is named as what it is."""

import codecs
import io
from collections.abc import Buffer
from typing import BinaryIO, override

# What stands in a text for bytes that its encoding does not have; no encoding has this code point.
UNREADABLE = "\udcff"

_HEAD_BYTES = 128
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE_AS_CSV = "save the sheet as CSV in UTF-8"
_DECOMPRESS = "decompress it first"
_NO_TEXTS = (
    (b"PK\x03\x04", f"is a workbook (.xlsx, .ods) or another zip archive; {_SAVE_AS_CSV}"),
    (b"\xd0\xcf\x11\xe0", f"is a workbook (.xls); {_SAVE_AS_CSV}"),
    (b"\x1f\x8b", f"is compressed (gzip); {_DECOMPRESS}"),
    (b"BZh", f"is compressed (bzip2); {_DECOMPRESS}"),
    (b"\xfd7zXZ", f"is compressed (xz); {_DECOMPRESS}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed (zstd); {_DECOMPRESS}"),
    (b"%PDF", f"is a PDF document; {_SAVE_AS_CSV}"),
)
_MARK_UNREADABLE = "enrollments.mark_unreadable"


class BadFile(ValueError):
    """A file that is not one of rows.

    Attributes:
        line: Where that shows, from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


def refuse_no_text(head: bytes) -> None:
    """Refuse a file that is no text.

    Args:
        head: What it begins with.

    Raises:
        BadFile: It is none; the reason names what it is.
    """
    for signature, reason in _NO_TEXTS:
        if head.startswith(signature):
            raise BadFile(reason)
    if head.lstrip().startswith(b"<"):
        raise BadFile(f"is XML or HTML; {_SAVE_AS_CSV}")


def opened_text(stream: BinaryIO) -> io.TextIOWrapper:
    """Return a file as text: UTF-8, or UTF-16 or UTF-32 as spreadsheets write it.

    Lines end as they do; what cannot be decoded is ``UNREADABLE``.

    Args:
        stream: The file, at its beginning.

    Raises:
        BadFile: It is no text.
    """
    head = stream.read(_HEAD_BYTES)
    refuse_no_text(head)
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
    """Tell UTF-16 by its second or first bytes: a file of rows begins with ASCII."""
    even, odd = head[:4:2], head[1:4:2]
    if len(odd) == len(even) and any(even) and not any(odd):
        return "utf-16-le"
    if len(odd) == len(even) and any(odd) and not any(even):
        return "utf-16-be"
    return "utf-8"


class _Continued(io.RawIOBase):
    """A stream together with what has been read of it already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        some = self._head[: len(view)] or self._stream.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(some)] = some
        return len(some)


def _mark_unreadable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNREADABLE, error.end


codecs.register_error(_MARK_UNREADABLE, _mark_unreadable)
