"""Calls that run at the same moment, in one process and in an order that is made up.

Each call has a thread, but only one of them runs at a time.  It pauses before each request to the database, and again
after it.  Then another one can go on, and the call can end as if its process had: before the request was sent, or after
it was done, when its answer is lost.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from enrollment.errors import ServiceUnavailable
from tests.in_memory import InMemory


class Killed(BaseException):
    """The process of a call ends."""


class Fate(Enum):
    """How a call goes on."""

    GO = auto()
    KILL = auto()
    LOSE = auto()  # the database is out of reach from here on, or its answer is lost


@dataclass(eq=False)
class Call:
    """A call that was begun.

    Attributes:
        name: What it is, for people.
        error: How it failed, if it has.
        is_over: Whether it has ended.
        requests: How often it has paused.
        sends: The request that it sends next, if it pauses before one.
    """

    name: str
    error: BaseException | None = None
    is_over: bool = False
    requests: int = 0
    sends: str | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _fate: Fate = Fate.GO


class Interleaving:
    """Begins calls and lets them go on.

    Args:
        database: The table.
        on_write: Called after each transaction, in the thread of whoever has sent it.
    """

    def __init__(self, database: InMemory, on_write: Callable[[], None]) -> None:
        self._on_write = on_write
        self._here = threading.local()
        self._back = threading.Semaphore(0)
        database.before, database.after = self._before, self._after

    def begin(self, name: str, function: Callable[[], Any]) -> Call:
        """Begin a call, and let it run to its first request."""
        call = Call(name)

        def run() -> None:
            self._here.call = call
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - it is told to whoever has begun the call
                call.error = error
            call.is_over = True
            self._back.release()

        threading.Thread(target=run, daemon=True).start()
        self._back.acquire()
        return call

    def go_on(self, call: Call, fate: Fate = Fate.GO) -> None:
        """Let a call run to its next pause, or end it here."""
        call._fate = fate  # noqa: SLF001 - they belong together
        call._go.release()  # noqa: SLF001
        self._back.acquire()

    def come_by(self, what: str) -> None:
        """Pause the call that runs now, before something that others can see.

        Args:
            what: What that is, for people.

        Raises:
            ServiceUnavailable: The call was told to lose what comes.
        """
        self._pause(what)

    def _before(self, request: str) -> None:
        self._pause(request)

    def _after(self, request: str) -> None:
        if request == "TransactWriteItems":
            self._on_write()
        self._pause(None)

    def _pause(self, sends: str | None) -> None:
        call: Call | None = getattr(self._here, "call", None)
        if call is None:
            return
        call.requests += 1
        call.sends = sends
        self._back.release()
        call._go.acquire()  # noqa: SLF001
        match call._fate:  # noqa: SLF001
            case Fate.KILL:
                raise Killed
            case Fate.LOSE:
                raise ServiceUnavailable
