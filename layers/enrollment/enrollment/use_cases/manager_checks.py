"""The watch of a connector: an execution that asks it every hour what it can do and what is left in its pools.

A connector that is set, resumed or handed over has a new revision.  It comes by the table's stream and starts a watch.
So a connector has one watch, which ends when it finds another one noted, or when the operator pauses or removes the
connector.  Phones wait until their manager's connector has answered for the first time.
"""

import json
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    ManagerAnswer,
    NoAccessError,
    NoUsableAnswerError,
    Request,
    RequestType,
    ask_about_manager,
)
from enrollment.store.actions import Action, as_read, change, put
from enrollment.store.attributes import Item
from enrollment.store.keys import connector_pools_key, manager_pause_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId, next_revision
from enrollment.use_cases.looking import Found, Steps, look_again, seconds_until
from enrollment.use_cases.pauses import forget_pause, pause_manager

type Tell = Callable[[str, Mapping[str, Any]], None]
type ConnectorOf = Callable[[ConnectorId, Item], CredentialManager]

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)
_JITTER = 0.1
_OF_SILENCE = ("unanswered_since", "unanswered_because")

# Randomness of the operating system: processes that start from one snapshot share the state of Python's generator.
_random = random.SystemRandom()


class Watcher:
    """Watches connectors.

    Args:
        table: The table.
        connector_of: Returns a connector, by its id and its item.
        tell: Gets a line for each thing that was done: a word, and facts that may be logged.
        now: Returns the time.
    """

    def __init__(
        self,
        table: Table,
        connector_of: ConnectorOf,
        *,
        tell: Tell = lambda *_: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._table = table
        self._connector_of = connector_of
        self._tell = tell
        self._now = now

    def begin(self, connector_id: ConnectorId, revision: int) -> str | None:
        """Note a new watch.

        Args:
            connector_id: What it watches.
            revision: The revision that it was started for.

        Returns:
            Its name; ``None`` if it is not needed, because the connector was changed again or removed.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        executor = str(uuid.uuid4())
        is_noted = not self._table.transact(
            {"connector": change(connector_id.key, assign={"executor": executor}, where={"revision": revision})}
        )
        return executor if is_noted else None

    def look(self, connector_id: ConnectorId, executor: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the connector, if it is time.

        Args:
            connector_id: The connector.
            executor: The watch's name.
            before: What this returned before; at first it is empty.

        Returns:
            What ``looking.look_again`` returns.
        """
        return look_again(
            before,
            lambda: self._find(connector_id, executor),
            lambda: raise_connector(self._table, connector_id, self._now()),
            lambda outages: self._tell("out_of_reach", {**connector_id.to_json(), "outages": outages}),
            self._now(),
        )

    def _find(self, connector_id: ConnectorId, executor: str) -> Found:
        pause_key = manager_pause_key(*connector_id)
        found = self._table.batch_get([connector_id.key, pause_key])
        connector, pause = found.get(connector_id.key), found.get(pause_key)
        if connector is None:
            return Found.end("removed")
        if connector.get("executor") != executor:
            return Found.end("superseded")
        if "paused_at" in connector:
            return Found.end("paused")
        now = self._now()
        if pause is not None and str(pause["paused_until"]) > timestamp(now):
            # Without the spread of the others: so the watch is the first to learn that the manager answers again.
            return Found.wait(seconds_until(pause["paused_until"], now))
        if str(connector.get("next_check_at", "")) > timestamp(now):
            return Found.wait(seconds_until(connector["next_check_at"], now))
        return Found.wait(self._ask(connector_id, connector, pause, now))

    def _ask(self, connector_id: ConnectorId, connector: Item, pause: Item | None, began: datetime) -> int:
        """Ask the connector, and write what it answered.  Return after how many seconds to ask again."""
        pause_key = manager_pause_key(*connector_id)
        request = Request(str(uuid.uuid4()), RequestType.MANAGER_CHECK, {})
        assign: dict[str, Any] = {"asked_at": timestamp(began)}
        actions: dict[str, Action] = {}
        remove: tuple[str, ...] = ()
        facts: dict[str, Any] = {}
        try:
            answer = ask_about_manager(self._connector_of(connector_id, connector), request)
        except NoUsableAnswerError as error:
            now = self._now()
            since = str(connector.get("unanswered_since", timestamp(began)))
            assign |= {"unanswered_since": since, "unanswered_because": error.because}
            waited = now - datetime.fromisoformat(since)
            wait = max(_FIRST_WAIT, min(waited, _LONGEST_WAIT)) * _random.uniform(1 - _JITTER, 1)
            facts = {"failure": "no_answer", "because": error.because, "waited_s": round(waited.total_seconds())}
            if isinstance(error, BusyError | NoAccessError):
                paused = pause_manager(self._table, pause_key, pause, error, now, asked=connector)
                self._tell("paused", {**connector_id.to_json(), **paused})
                wait = timedelta(seconds=paused["pause_s"])
                facts["failure"] = error.because
        else:
            now = self._now()
            told, actions = _told(connector_id, answer, now)
            assign |= told
            remove = _OF_SILENCE
            wait = _LONGEST_WAIT * _random.uniform(1 - _JITTER, 1)
            is_new = "checked_at" not in connector or "unanswered_since" in connector
            if _can_something_else(connector, answer):
                assign["abilities_changed_at"] = timestamp(now)
                self._tell("abilities_changed", connector_id.to_json())
            empty = sum(pool.available == 0 for pool in answer.pools)
            facts = {"state": "answered", "is_new": is_new, "empty_pools": empty}
            forget_pause(self._table, pause_key, pause, now)
        facts["duration_ms"] = round((now - began).total_seconds() * 1000)
        assign["next_check_at"] = timestamp(now + wait)
        written = change(
            connector_id.key, assign=assign, remove=remove, where=as_read(connector, ["revision", "executor"])
        )
        is_written = not self._table.transact({"connector": written, **actions})
        self._tell(request.type, {**connector_id.to_json(), **facts, **({} if is_written else {"is_dropped": True})})
        return max(1, round(wait.total_seconds()))


def watch(given: Mapping[str, Any], steps: Steps, watcher: Watcher) -> str:
    """Watch a connector.  Return how the watch ended, in a word.

    Args:
        given: The execution's input: the connector, and the revision that it was started for.
        steps: What it can do.
        watcher: Asks the connector.

    Raises:
        ServiceUnavailable: AWS stays out of reach; the step is run again.
    """
    connector_id = ConnectorId.from_json(given)
    executor = steps.run("begin", lambda: watcher.begin(connector_id, int(given["revision"])))
    if executor is None:
        return "superseded"
    last = steps.poll("watch", lambda before: watcher.look(connector_id, executor, before))
    return str(last["ended"])


def raise_connector(table: Table, connector_id: ConnectorId, now: datetime) -> None:
    """Raise the revision of a connector, so that a new watch is started.

    Args:
        table: The table.
        connector_id: The connector; nothing is done if there is none any more.
        now: The time.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    connector = table.get(connector_id.key)
    if connector is None:
        return
    raised: Item = {"revision": next_revision(connector, now)}
    # If it has another revision meanwhile, that one has started a watch.
    table.transact({"connector": change(connector_id.key, assign=raised, where=as_read(connector, ["revision"]))})


def _can_something_else(connector: Item, answer: ManagerAnswer) -> bool:
    """Return whether a connector has told before that it can do something else.

    Nobody starts the enrollments that have nothing to do, so an operator has to (``standing_still.have_all_go_on``).
    """
    told = (answer.keeps_validity, answer.one_step)
    return "checked_at" in connector and told != (connector["keeps_validity"], connector["one_step"])


def _told(connector_id: ConnectorId, answer: ManagerAnswer, now: datetime) -> tuple[Item, dict[str, Action]]:
    """Return what is written of an answer: attributes of the connector, and its pools."""
    pools = [pool.model_dump() for pool in answer.pools]
    listed: Item = {"pools": json.dumps(pools, ensure_ascii=False, separators=(",", ":")), "told_at": timestamp(now)}
    told: Item = {
        "checked_at": timestamp(now),
        "keeps_validity": answer.keeps_validity,
        "one_step": answer.one_step,
    }
    return told, {"pools": put(connector_pools_key(*connector_id), listed)}
