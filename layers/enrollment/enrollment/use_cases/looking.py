"""How an execution looks again and again: with waits between, through outages, until it ends or another takes over."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from enrollment.errors import ServiceUnavailable
from enrollment.timestamps import timestamp

# How often an execution looks before another one takes over.  AWS keeps what each look found.
MOST_LOOKS = 300
# AWS ends an execution after 366 days.
_LONGEST_EXECUTION = timedelta(days=300)
_LONGEST_WAIT = timedelta(days=30)
_LONGEST_OUTAGE_WAIT = 300


class Found(NamedTuple):
    """What an execution found when it looked.

    Attributes:
        ended: How the execution ended, in a word; ``None`` if it goes on.
        wait_seconds: After how many seconds it looks again; ``None`` if it has ended.
    """

    ended: str | None
    wait_seconds: int | None

    @classmethod
    def end(cls, ended: str) -> "Found":
        """Return that the execution has ended."""
        return cls(ended, None)

    @classmethod
    def wait(cls, seconds: int) -> "Found":
        """Return that the execution looks again after so many seconds, or after a month if that is sooner."""
        return cls(None, min(seconds, round(_LONGEST_WAIT.total_seconds())))


class Steps(Protocol):
    """What an execution can do so that AWS keeps its place."""

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Run a function at least once, and return its result, which is JSON."""

    def poll(self, name: str, look: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Look until ``wait_seconds`` is ``None``, with these waits between.  Return what the last look found.

        Each look gets what the one before it returned, the first one an empty dictionary.
        """


def seconds_until(moment: object, now: datetime) -> int:
    """Return for how many whole seconds to wait until a moment: one at least.

    Args:
        moment: The moment, as ``timestamp`` writes it.
        now: The time.
    """
    return max(1, -(-(datetime.fromisoformat(str(moment)) - now) // timedelta(seconds=1)))


def look_again(
    before: Mapping[str, Any],
    find: Callable[[], Found],
    hand_over: Callable[[], None],
    tell_outage: Callable[[int], None],
    now: datetime,
) -> dict[str, Any]:
    """Look once more.

    Args:
        before: What this returned before; at first it is empty.
        find: Does all that can be done now.
        hand_over: Has another execution take over.
        tell_outage: Gets how often in a row AWS was out of reach, if it was now.
        now: The time.

    Returns:
        What was found, how often the execution has looked, since when, and how often in a row AWS was out of reach.
    """
    looks, outages = before.get("looks", 0) + 1, 0
    since = str(before.get("since", timestamp(now)))
    try:
        if looks > MOST_LOOKS or now - datetime.fromisoformat(since) > _LONGEST_EXECUTION:
            hand_over()
            found = Found.end("handed_over")
        else:
            found = find()
    except ServiceUnavailable:
        outages = before.get("outages", 0) + 1
        tell_outage(outages)
        found = Found.wait(min(_LONGEST_OUTAGE_WAIT, 2 ** min(outages, 10)))
    return {**found._asdict(), "looks": looks, "since": since, "outages": outages}
