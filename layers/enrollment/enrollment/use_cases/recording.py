"""Recording of events: what follows a change of the table.

Events come from the table's stream, and not from the use cases.  So an event is there if its change was committed, and
only then; a deletion of hundreds of things needs no larger transaction; imports and operators are covered.

Lambda delivers each record at least once.  An event's id comes from its record's id, and its item and entries are put
in one transaction, only if the item is not there.  So an event is listed once, however often its record comes.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, NamedTuple

from cachetools import TTLCache

from enrollment.aws.deadline import ending_before, seconds_left
from enrollment.errors import EnrollmentError, ServiceUnavailable
from enrollment.outbound.event_bus import EventBus
from enrollment.outbound.failures import RefusedError
from enrollment.outbound.queues import Queue
from enrollment.resources.events import Event
from enrollment.store.actions import Action, put, put_new
from enrollment.store.attributes import Item, Value
from enrollment.store.changes import Change, read_change, sequence_number
from enrollment.store.items import stored_event
from enrollment.store.keys import Key, acs_system_key, webhook_key
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.deleted_workspaces import deletions_of
from enrollment.use_cases.enrollment_starts import Starter, Wanted, Watched, wanted_of_change
from enrollment.use_cases.events import event_of
from enrollment.use_cases.webhook_items import wants

type Delivery = Mapping[str, Any]
type Record = Mapping[str, Any]

# Names the events' ids; it was made up once and never changes.
_EVENT_IDS = uuid.UUID("0d6c2a0e-5a5f-4f0f-9f5c-2d4b8a1c7e39")

# The type of an event, and the attributes of the changed item that it tells: by how the item's sort key begins, and by
# whether the item is new or deleted.  Where the sort key goes on with an id, the partition is one of a user identity.
_CREDENTIAL = "CREDENTIAL#"
_OF_AUTOMATION = ("enrollment_automation_id", "user_identity_id")
_OF_PHONE = ("device_id", "user_identity_id")
_OF_ACS_USER = ("acs_user_id", "acs_system_id")
_OF_CREDENTIAL = ("acs_credential_id", "acs_system_id")
_EVENTS = {
    ("ENROLLMENT_AUTOMATION#", True): ("enrollment_automation.launched", _OF_AUTOMATION),
    ("ENROLLMENT_AUTOMATION#", False): ("enrollment_automation.deleted", _OF_AUTOMATION),
    ("PHONE#", True): ("phone.registered", _OF_PHONE),
    ("PHONE#", False): ("phone.deactivated", _OF_PHONE),
    ("ACS_USER", True): ("acs_user.created", _OF_ACS_USER),
    ("ACS_USER", False): ("acs_user.deleted", _OF_ACS_USER),
    (_CREDENTIAL, False): ("acs_credential.deleted", _OF_CREDENTIAL),
    ("CLIENT_SESSION", False): ("client_session.deleted", ("client_session_id",)),
}

_MOST_ITEMS_OF_AN_EVENT = 3
_AT_ONCE = MOST_ACTIONS // _MOST_ITEMS_OF_AN_EVENT

# Who polls lets periods overlap by 10 s (contract, "Events").  So an event has to be listed within that time after its
# `created_at` was chosen.
_LONGEST_SECONDS_TO_LIST = 8

_SYSTEMS_KEPT_SECONDS = 60
_MOST_SYSTEMS_KEPT = 4096


class _Happening(NamedTuple):
    """What a change of an item means.

    Attributes:
        event_type: The event's type.
        names: The attributes of the item that it tells.
        item: The item that it is about.
        occurred_at: When it happened.
    """

    event_type: str
    names: Sequence[str]
    item: Item
    occurred_at: Value


class Recorded(NamedTuple):
    """What became of a batch of stream records.

    Attributes:
        events: How many events were listed and sent on.
        set_aside: The sequence numbers of the records that cannot be read, whose events the bus refuses, or whose
            executions Lambda refuses.
        failed: The sequence number of the first record that is to be delivered again, with all that follow it.
        cause: Why it failed.
        executions: How many executions were started.
    """

    events: int
    set_aside: list[str]
    failed: str | None = None
    cause: EnrollmentError | None = None
    executions: int = 0


class Recorder:
    """Lists the events of changes, and sends them on.

    Args:
        table: The table.
        bus: Gets every event.
        deliveries: Gets a message for each event and each webhook that wants it.
        starter: Starts the executions that follow the changes.
        failures: Gets a pointer to each record that is set aside.
        retention: How long events are listed.
    """

    def __init__(  # noqa: PLR0913 - each is its own thing, and is given by its name
        self,
        table: Table,
        *,
        starter: Starter,
        bus: EventBus,
        deliveries: Queue,
        failures: Queue,
        retention: timedelta,
    ) -> None:
        self._table = table
        self._starter = starter
        self._bus = bus
        self._deliveries = deliveries
        self._failures = failures
        self._retention = retention
        self._systems = Systems(table)

    def record(self, records: Sequence[Record]) -> Recorded:
        """Record the events of a batch of stream records, and start the executions that follow.

        A workspace that is being deleted has no more events.  What its enrollments need is still done, because that
        takes phones and credentials back.

        A record that cannot be read is set aside, so that it does not hold up the others.  If AWS does not answer, the
        record that was at work and all that follow it are to be delivered again, so that their order stays.

        Args:
            records: The records, in the order of the stream.

        Raises:
            RefusedError: A queue of this service refuses a message, which is a defect.
        """
        events, wanted, unreadable = _read(records)
        set_aside: list[str] = []
        done = executions = 0
        failing: Record = records[0]
        webhooks = Webhooks(self._table)
        try:
            set_aside += self._set_aside(unreadable, "RecordUnreadable")
            deleted = deletions_of(self._table, {str(event["workspace_id"]) for _, event in events.values()})
            told = [(record, event) for record, event in events.values() if event["workspace_id"] not in deleted]
            for some in batched(told, _AT_ONCE, strict=False):
                failing, _ = some[0]
                set_aside += self._record_some(some, webhooks)
                done += len(some)
            if wanted:
                failing, _ = wanted[0]
                executions, refused = self._follow(wanted)
                set_aside += refused
        except ServiceUnavailable as error:
            return Recorded(done, set_aside, sequence_number(failing), error, executions)
        return Recorded(done, set_aside, executions=executions)

    def _record_some(self, some: Sequence[tuple[Record, Item]], webhooks: "Webhooks") -> list[str]:
        """List a few events and send them on.  Return the records that were set aside."""
        events = list_new(self._table, complete([event for _, event in some], self._systems), retention=self._retention)
        self._deliveries.send(deliveries_of(events, webhooks))
        try:
            self._bus.put([event.to_json() for event in events])
        except RefusedError:
            # The bus can be another's.  What is wrong with it must not hold up the list and the webhooks.
            return self._set_aside([record for record, _ in some], "EventBusRefused")
        return []

    def _follow(self, wanted: Sequence[tuple[Record, Wanted | Watched]]) -> tuple[int, list[str]]:
        """Start executions.  Return how many, and the records that were set aside."""
        try:
            return self._starter.follow([change for _, change in wanted]), []
        except RefusedError:
            # The operator's command finds what was not started.  The list and the webhooks go on.
            return 0, self._set_aside([record for record, _ in wanted], "ExecutionRefused")

    def _set_aside(self, records: Sequence[Record], condition: str) -> list[str]:
        """Put pointers to records into the queue of failures, in the form in which Lambda does it."""
        self._failures.send(
            [
                {
                    "requestContext": {"condition": condition},
                    "DDBStreamBatchInfo": {
                        "startSequenceNumber": sequence_number(record),
                        "endSequenceNumber": sequence_number(record),
                        "batchSize": 1,
                        "streamArn": record.get("eventSourceARN"),
                    },
                }
                for record in records
            ]
        )
        return [sequence_number(record) for record in records]


class Systems:
    """The connected accounts of ACS systems.  They are kept for a minute, since they hardly ever change.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: TTLCache[Key, str] = TTLCache(_MOST_SYSTEMS_KEPT, _SYSTEMS_KEPT_SECONDS)

    def connected_accounts(self, keys: Iterable[Key]) -> dict[Key, str]:
        """Return the id of each system's connected account; a system that does not exist is left out.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        wanted = set(keys)
        found = {key: account for key in wanted if (account := self._known.get(key)) is not None}
        for key, item in self._table.get_all(wanted - found.keys()).items():
            found[key] = str(item["connected_account_id"])
        self._known.update(found)
        return found


class Webhooks:
    """The webhooks of workspaces, read once for a batch.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._read: dict[str, list[Item]] = {}

    def of(self, workspace_id: str) -> list[Item]:
        """Return a workspace's webhooks.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        if workspace_id not in self._read:
            self._read[workspace_id] = self._table.query(webhook_key(workspace_id, "").pk)
        return self._read[workspace_id]


def event_of_change(change: Change) -> Item | None:
    """Return the event that a change is, without ``created_at``; ``None`` if it is none.

    Args:
        change: A change of any item.

    Raises:
        LookupError: The item lacks what an event must have.
    """
    happened = _happening(change)
    if happened is None:
        return None
    event_type, names, item, occurred_at = happened
    event: dict[str, Any] = {
        "event_id": str(uuid.uuid5(_EVENT_IDS, change.record_id)),
        "event_type": event_type,
        "workspace_id": item["workspace_id"],
        "occurred_at": occurred_at,
        "sequence": change.sequence,
        **{name: item[name] for name in names},
    }
    if "user_identity_id" in item:
        event["user_identity_id"] = item["user_identity_id"]
    return event


def _happening(change: Change) -> _Happening | None:
    """Return what a change means; ``None`` if it means nothing to clients."""
    if change.is_restored:
        return None
    kind, sign, _ = change.key.sk.partition("#")
    match change.before, change.after:
        case None, after if after is not None and (kind + sign, True) in _EVENTS:
            return _Happening(*_EVENTS[kind + sign, True], after, after["created_at"])
        case before, None if before is not None and (kind + sign, False) in _EVENTS:
            return _Happening(*_EVENTS[kind + sign, False], before, timestamp(change.at))
        case before, after if before is not None and after is not None and kind + sign == _CREDENTIAL:
            return _happening_of_credential(before, after)
    return None


def _happening_of_credential(before: Item, after: Item) -> _Happening | None:
    """Return what a change of a credential means: its credential manager has issued, changed or invalidated it."""
    is_gone_now = after.get("state") == "gone" and before.get("state") != "gone"
    if is_gone_now and "being_deleted_at" not in after:
        return _Happening("acs_credential.invalidated", _OF_CREDENTIAL, after, after["state_since"])
    if "issued_at" in after and "issued_at" not in before:
        return _Happening("acs_credential.issued", _OF_CREDENTIAL, after, after["issued_at"])
    was, is_now = before.get("synced_version"), after.get("synced_version")
    if isinstance(was, int) and isinstance(is_now, int) and is_now > was:
        return _Happening("acs_credential.reissued", _OF_CREDENTIAL, after, after["synced_at"])
    return None


def complete(events: Sequence[Item], systems: Systems) -> list[Item]:
    """Return events with the connected accounts of their ACS systems.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    keys = [_system_of(event) for event in events]
    accounts = systems.connected_accounts(key for key in keys if key is not None)
    return [
        event if key is None or key not in accounts else {**event, "connected_account_id": accounts[key]}
        for event, key in zip(events, keys, strict=True)
    ]


def list_new(table: Table, events: Sequence[Item], *, retention: timedelta) -> list[Event]:
    """List events that are not listed yet, and return all of them in the same order.

    The first ones are listed first, so after an error a beginning of them is listed.

    Args:
        table: The table.
        events: The events, each once, from ``complete``.
        retention: How long they are listed.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    listed: dict[str, Item] = {}
    for some in batched(events, _AT_ONCE, strict=False):
        listed |= _list_some(table, some, retention)
    return [event_of(listed[str(event["event_id"])]) for event in events]


def deliveries_of(events: Sequence[Event], webhooks: Webhooks) -> list[Delivery]:
    """Return the messages for the function ``deliveries``: one for each event and each webhook that wants it.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return [
        {"workspace_id": event.workspace_id, "webhook_id": webhook["webhook_id"], "event": event.to_json()}
        for event in events
        for webhook in webhooks.of(event.workspace_id)
        if wants(webhook, event.event_type)
    ]


class _Read(NamedTuple):
    """What stream records say.

    Attributes:
        events: Their events by id, each with its record.
        wanted: The changes of what is wanted, each with its record.
        unreadable: The records that cannot be read.
    """

    events: dict[str, tuple[Record, Item]]
    wanted: list[tuple[Record, Wanted | Watched]]
    unreadable: list[Record]


def _read(records: Sequence[Record]) -> _Read:
    read = _Read({}, [], [])
    for record in records:
        try:
            change = read_change(record)
            event, wanted = event_of_change(change), wanted_of_change(change)
        except (LookupError, ValueError):
            read.unreadable.append(record)
            continue
        if event is not None:
            read.events[str(event["event_id"])] = (record, event)
        if wanted is not None:
            read.wanted.append((record, wanted))
    return read


def _list_some(table: Table, events: Sequence[Item], retention: timedelta) -> dict[str, Item]:
    """List a few events in one transaction; return them by their ids, those that were there as they are."""
    listed: dict[str, Item] = {}
    unlisted = {str(event["event_id"]): event for event in events}
    while unlisted:
        now = datetime.now(UTC)
        more: Item = {"created_at": timestamp(now), "deleted_after": int((now + retention).timestamp())}
        candidates: dict[str, Item] = {event_id: {**event, **more} for event_id, event in unlisted.items()}
        actions: dict[str, Action] = {}
        for event_id, event in candidates.items():
            (itself, *entries) = stored_event(event).items()
            actions[event_id] = put_new(*itself)
            actions |= {f"{event_id} {index}": put(*entry) for index, entry in enumerate(entries)}
        with ending_before(1000 * min(seconds_left(), _LONGEST_SECONDS_TO_LIST)):
            refused = table.transact(actions)
        if not refused:
            return listed | candidates
        listed |= {event_id: item for event_id, item in refused.items() if item is not None}
        unlisted = {event_id: event for event_id, event in unlisted.items() if event_id not in listed}
    return listed


def _system_of(event: Item) -> Key | None:
    if "acs_system_id" not in event:
        return None
    return acs_system_key(str(event["workspace_id"]), str(event["acs_system_id"]))
