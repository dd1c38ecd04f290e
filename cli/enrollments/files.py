"""The files that commands read and write, which can be standard streams, and what is told of them."""

import errno
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from enrollments.failure import CommandFailed

STANDARD_STREAM = "-"


class BadFile(ValueError):
    """A file cannot be read.

    Attributes:
        line: The line with the fault, from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input."""
    if file == STANDARD_STREAM:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


@contextmanager
def opened_twice(file: str) -> Iterator[BinaryIO]:
    """Open a file that is read twice.  What comes from a pipe is copied to a file that only its owner can read."""
    with opened(file) as stream:
        if file_status(stream) is not None:
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            yield copy


def file_status(stream: BinaryIO) -> os.stat_result | None:
    """Return the status of a regular file; ``None`` for a pipe or a device."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


@contextmanager
def progress_of(stream: BinaryIO) -> Iterator[Callable[[int], None] | None]:
    """Show an import's progress on a terminal.  Yield a function that takes the number of further bytes.

    Yield ``None`` if there is no terminal, or if the input's size is unknown or zero.
    """
    status = file_status(stream)
    if status is None or not status.st_size or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=status.st_size, label="Importing", file=sys.stderr) as progress:
        yield progress.update


def printable(text: str) -> str:
    """Return a text with its control characters escaped, so that a terminal does not run them."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def refuse_file(file: str, error: BadFile) -> NoReturn:
    """End a command because its file cannot be read.

    Args:
        file: The file's name.
        error: Says what the fault is, and where.

    Raises:
        CommandFailed: Always.
    """
    raise CommandFailed(printable(f"{file}:{error.line}: {error}")) from error


@contextmanager
def replacing(output: str) -> Iterator[BinaryIO]:
    """Open the output.  A file is replaced only when its new content is complete."""
    try:
        with _replaced(output) as stream:
            yield stream
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has closed the pipe, and click ends quietly
            raise
        raise CommandFailed(f"{printable(output)}: {error.strerror}") from error


@contextmanager
def _replaced(output: str) -> Iterator[BinaryIO]:
    if output == STANDARD_STREAM:
        yield sys.stdout.buffer
        return
    path = Path(output).resolve()
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as stream:
            yield stream
        return
    # It has names and addresses of people.  Only the file's owner can read a temporary file.
    with _ended_like_interrupted():
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
                yield stream
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Have the signals that end a process do what Ctrl-C does, so that no temporary file stays.

    One that is ignored stays so: ``nohup`` ignores SIGHUP.
    """
    changed = []
    if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
        changed = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for one in changed:
        signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one in changed:
            signal.signal(one, signal.SIG_DFL)
