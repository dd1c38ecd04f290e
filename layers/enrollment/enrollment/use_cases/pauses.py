"""Pauses: for a while nobody sends requests to a credential manager (contract, "Credential managers").

A manager that has too much to do is paused for everybody, and so is one that lets this service in no more.  The pause
is an item that every execution reads.  The operator's pause is another thing: it lasts until the operator ends it, and
is an attribute of the connector.
"""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from enrollment.errors import ServiceUnavailable
from enrollment.managers.protocol import BusyError, NoAccessError
from enrollment.store.actions import Action, as_read, change, delete, put_new, require
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, connector_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp


class PauseReason(StrEnum):
    """Why a manager is paused: the attribute ``reason`` of the pause's item."""

    BUSY = "busy"
    DISCONNECTED = "disconnected"


_ROUNDS = 4
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
_PAUSE_WITHOUT_ACCESS = timedelta(minutes=5)
# A pause that begins so soon after another one shows that too many wait.
_PAUSES_BELONG_TOGETHER = timedelta(minutes=10)
_LONGEST_SPREAD_SECONDS = 600

# Randomness of the operating system: processes that start from one snapshot share the state of Python's generator.
_random = random.SystemRandom()


def pause_manager(  # noqa: PLR0913 - what is known of the manager, and what it answered
    table: Table,
    key: Key,
    before: Item | None,
    error: BusyError | NoAccessError,
    now: datetime,
    *,
    asked: Item | None,
) -> dict[str, Any]:
    """Pause a manager for everybody, unless it is paused for longer already.

    Args:
        table: The table.
        key: The key of the pause's item.
        before: The item of an earlier pause, if there was one when the manager was asked.
        error: What the manager answered.
        now: The time.
        asked: The connector that answered.  Nothing is paused if it was removed, or has another address or secret
            meanwhile.  ``None`` is a simulated manager.

    Returns:
        Facts for the log.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    paused = _pause(before, error, now)
    guards = {} if asked is None else {"connector": _is_still(asked)}
    for _ in range(_ROUNDS):
        known = table.get(key)
        # The manager may have told another request to stay away for longer.
        if known is not None and str(known["paused_until"]) >= str(paused["paused_until"]):
            return _facts(known, now)
        if known is None:
            action = put_new(key, paused)
        else:
            action = change(key, assign=paused, where=as_read(known, ["paused_until"]))
        refused = table.transact({"pause": action, **guards})
        if not refused or "connector" in refused:
            return _facts(paused, now)
    raise ServiceUnavailable


def _pause(before: Item | None, error: BusyError | NoAccessError, now: datetime) -> Item:
    """Return the item of a pause."""
    is_busy = isinstance(error, BusyError)
    times, paused_at = 1, timestamp(now)
    if before is not None and _moment(before["paused_until"]) > now - _PAUSES_BELONG_TOGETHER:
        times, paused_at = int(str(before["times"])) + 1, str(before["paused_at"])
    pause = (_SHORTEST_PAUSE if is_busy else _PAUSE_WITHOUT_ACCESS) * 2 ** min(times - 1, 10)
    if isinstance(error, BusyError) and error.retry_after is not None:
        pause = timedelta(seconds=min(error.retry_after, _LONGEST_PAUSE.total_seconds()))
    pause = max(timedelta(seconds=1), min(pause, _LONGEST_PAUSE))
    reason = PauseReason.BUSY if is_busy else PauseReason.DISCONNECTED
    return {"paused_at": paused_at, "paused_until": timestamp(now + pause), "reason": reason, "times": times}


def _is_still(connector: Item) -> Action:
    """Return the action that checks that a connector has the same address and the same secret."""
    key = connector_key(str(connector["workspace_id"]), str(connector["acs_system_id"]))
    return require(key, as_read(connector, ["url", "secret_version"]))


def _facts(pause: Item, now: datetime) -> dict[str, Any]:
    """Return what is logged of a pause."""
    seconds = round((_moment(pause["paused_until"]) - now).total_seconds())
    return {"reason": pause["reason"], "until": pause["paused_until"], "pause_s": seconds, "times": pause["times"]}


def forget_pause(table: Table, key: Key, pause: Item | None, now: datetime) -> None:
    """Delete the item of an earlier pause, because the manager has answered.

    Args:
        table: The table.
        key: The key of the pause's item.
        pause: The item, if there is one.
        now: The time.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if pause is None:
        return
    is_over = _moment(pause["paused_until"]) < now - _PAUSES_BELONG_TOGETHER
    if is_over or pause["reason"] == PauseReason.DISCONNECTED:
        table.transact({"pause": delete(key, as_read(pause, ["paused_until"]))})


def seconds_of_spread(pause: Mapping[str, Any]) -> int:
    """Return for how long to wait after a pause: a random time of a period.

    The more wait, the more often the manager is paused, and the longer is the period in which they come back.

    Args:
        pause: The item of the pause.
    """
    longest = min(_LONGEST_SPREAD_SECONDS, 2 ** min(int(str(pause["times"])), 10))
    return round(_random.uniform(0, longest))


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
