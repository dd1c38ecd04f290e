"""Recording of events from the table's stream: each once, in order, whatever fails in the middle."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from enrollment.callers import Caller
from enrollment.errors import ServiceUnavailable
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.event_bus import EventBus
from enrollment.outbound.failures import RefusedError
from enrollment.outbound.queues import Queue
from enrollment.resources.events import Event, ListEventsRequest
from enrollment.store.actions import put_new
from enrollment.store.attributes import Item, marshal
from enrollment.store.items import (
    stored_acs_credential,
    stored_acs_user,
    stored_automation,
    stored_client_session,
    stored_phone,
)
from enrollment.store.keys import Key, deleted_workspace_key, phone_key, registration_key, webhook_key
from enrollment.use_cases import events
from enrollment.use_cases.enrollment_starts import Start, Starter
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.recording import Recorded, Recorder
from local_aws.event_patterns import EventPattern
from local_aws.template import load_template
from tests.fixtures import PROJECT, Store, Workspace, put_all

pytestmark = pytest.mark.long

JANE = "00000000-0000-4000-8000-000000000011"
PHONE = "00000000-0000-4000-8000-000000000091"
CREDENTIAL = "00000000-0000-4000-8000-0000000000a1"
SYSTEM = "00000000-0000-4000-8000-000000000021"
NOW = "2026-11-25T10:00:00.000Z"
type Record = dict[str, Any]


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Outlets:
    """The queues and the bus that a recorder sends to, and what they got.

    Attributes:
        deliveries: The queue of deliveries.
        failures: The queue of failures.
        bus: The bus.
        sqs: The queues' client.
        urls: The queues' URLs.
        put: The details of what was put on the bus.
        sent: What was sent to queues, by their URLs.
        left: How many more requests are let through, to any service; ``None`` is all.
        ended_by: What happens instead of the request after those.
        refuses_events: Whether the bus refuses events.
    """

    deliveries: Queue
    failures: Queue
    bus: EventBus
    sqs: Any
    urls: dict[str, str]
    put: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left: int | None = None
    ended_by: Callable[[], BaseException] = Killed
    refuses_events: bool = False

    def pass_on(self, request: Any, **_: Any) -> None:
        if self.left is not None:
            if self.left == 0:
                raise self.ended_by()
            self.left -= 1
        target = request.headers.get("X-Amz-Target", b"")
        if b"SendMessageBatch" in target:
            body = json.loads(request.body)
            self.sent.setdefault(body["QueueUrl"], []).extend(
                json.loads(entry["MessageBody"]) for entry in body["Entries"]
            )
        if b"PutEvents" in target:
            if self.refuses_events:
                error = {"Error": {"Code": "ResourceNotFoundException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
                raise ClientError(cast("Any", error), "PutEvents")
            self.put += [json.loads(entry["Detail"]) for entry in json.loads(request.body)["Entries"]]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Return what was sent to a queue since the last time.  To receive it from moto takes much longer."""
        return self.sent.pop(self.urls[queue], [])

    def replace_queue(self, name: str) -> None:
        """Replace a queue by an empty one: for each message, moto counts those that are in the queue already."""
        self.sqs.delete_queue(QueueUrl=self.urls[name])
        self.sqs.create_queue(QueueName=name)


@pytest.fixture
def outlets(store: Store) -> Iterator[Outlets]:
    sqs, bus = create_outbound_client("sqs"), create_outbound_client("events")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("deliveries", "failures")}
    bus.create_event_bus(Name="events")
    outlets = Outlets(Queue(sqs, urls["deliveries"]), Queue(sqs, urls["failures"]), EventBus(bus, "events"), sqs, urls)
    for client in (sqs, bus):
        client.meta.events.register_first("before-send", outlets.pass_on)
    store.watch("before-send.dynamodb", outlets.pass_on)
    yield outlets
    outlets.left = None
    bus.delete_event_bus(Name="events")
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


def new_recorder(store: Store, outlets: Outlets, start: Start = lambda *_: None) -> Recorder:
    return Recorder(
        store.table,
        starter=Starter(store.table, start),
        bus=outlets.bus,
        deliveries=outlets.deliveries,
        failures=outlets.failures,
        retention=timedelta(days=30),
    )


@pytest.fixture
def recorder(store: Store, outlets: Outlets) -> Recorder:
    return new_recorder(store, outlets)


@dataclass
class Stream:
    """Makes records as Lambda passes them on."""

    workspace_id: str
    count: int = 0

    def record(self, key: Key, before: Item | None, after: Item | None) -> Record:
        self.count += 1
        kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
        told: Record = {
            "ApproximateCreationDateTime": 1764064800.0,
            "Keys": marshal(key._asdict()),
            "SequenceNumber": str(4421584500000000017450439092 + self.count),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        for image, item in (("OldImage", before), ("NewImage", after)):
            if item is not None:
                told[image] = marshal({**key._asdict(), **item})
        return {
            "eventID": f"{self.count:032x}",
            "eventName": kind,
            "eventSource": "aws:dynamodb",
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/table/stream/2026-11-25T00:00:00.000",
            "dynamodb": told,
        }

    def automation(self, number: int, *, is_deleted: bool = False) -> Record:
        item: Item = {
            "enrollment_automation_id": f"00000000-0000-4000-8000-{number:012x}",
            "workspace_id": self.workspace_id,
            "user_identity_id": JANE,
            "credential_manager_acs_system_id": SYSTEM,
            "created_at": NOW,
        }
        (key, itself), *_ = stored_automation(item).items()
        return self.record(key, itself if is_deleted else None, None if is_deleted else itself)

    def records_of(self, stored: dict[Key, Item], *, is_deleted: bool) -> list[Record]:
        """Return the records of something with all that is derived from it."""
        items = [(item, None) if is_deleted else (None, item) for item in stored.values()]
        return [self.record(key, *images) for key, images in zip(stored, items, strict=True)]

    def phone(self, *, is_deleted: bool = False) -> list[Record]:
        item: Item = {
            "device_id": PHONE,
            "workspace_id": self.workspace_id,
            "user_identity_id": JANE,
            "custom_sdk_installation_id": "app",
            "created_at": NOW,
        }
        return self.records_of(stored_phone(item), is_deleted=is_deleted)

    def credential(self, acs_system_id: str, *, is_deleted: bool = False) -> list[Record]:
        item: Item = {
            "acs_credential_id": CREDENTIAL,
            "workspace_id": self.workspace_id,
            "user_identity_id": JANE,
            "acs_system_id": acs_system_id,
            "created_at": NOW,
        }
        return self.records_of(stored_acs_credential(item), is_deleted=is_deleted)

    def changed_credential(self, before: Item, after: Item) -> Record:
        known: Item = {
            "acs_credential_id": CREDENTIAL,
            "workspace_id": self.workspace_id,
            "user_identity_id": JANE,
            "acs_system_id": SYSTEM,
            "created_at": NOW,
            "version": 1,
        }
        (key, itself), *_ = stored_acs_credential(known).items()
        return self.record(key, {**itself, **before}, {**itself, **after})

    def acs_user(self, number: int, **more: str) -> Record:
        item: Item = {
            "acs_user_id": f"00000000-0000-4000-9000-{number:012x}",
            "workspace_id": self.workspace_id,
            "acs_system_id": SYSTEM,
            "created_at": NOW,
            **more,
        }
        (key, itself), *_ = stored_acs_user(item).items()
        return self.record(key, None, itself)


@pytest.fixture
def stream(workspace: Workspace) -> Stream:
    return Stream(workspace.workspace_id)


def listed(store: Store, workspace_id: str, *seen: str, **parameters: Any) -> list[Event]:
    caller = Caller(workspace_id, frozenset(seen) if seen else None)
    request = ListEventsRequest(**{"since": "2020-01-01T00:00:00Z"} | parameters)
    return events.list_events(store.table, caller, request).records


def ids(found: Sequence[Event]) -> list[str]:
    return [str(event.enrollment_automation_id or event.acs_user_id)[-3:] for event in found]


def test_an_automations_launch_and_deletion_are_events(recorder: Recorder, stream: Stream, store: Store) -> None:
    recorded = recorder.record([stream.automation(1), stream.automation(1, is_deleted=True)])

    assert recorded == Recorded(2, [])
    launched, deleted = listed(store, stream.workspace_id)
    assert (launched.event_type, deleted.event_type) == (
        "enrollment_automation.launched",
        "enrollment_automation.deleted",
    )
    assert launched.enrollment_automation_id == deleted.enrollment_automation_id
    assert (launched.user_identity_id, launched.acs_system_id) == (JANE, None)
    assert (launched.occurred_at, deleted.occurred_at) == (NOW, "2025-11-25T10:00:00.000Z")
    assert launched.created_at <= deleted.created_at


def test_a_deleted_client_session_is_an_event_and_a_new_one_is_none(
    recorder: Recorder, stream: Stream, store: Store
) -> None:
    session: Item = {
        "client_session_id": JANE,
        "workspace_id": stream.workspace_id,
        "user_identity_ids": "",
        "created_at": NOW,
    }
    (key, itself), *_ = stored_client_session(session).items()

    recorder.record([stream.record(key, None, itself), stream.record(key, itself, None)])

    (deleted,) = listed(store, stream.workspace_id)
    assert deleted.to_json() == {
        "event_id": deleted.event_id,
        "event_type": "client_session.deleted",
        "workspace_id": stream.workspace_id,
        "created_at": deleted.created_at,
        "occurred_at": "2025-11-25T10:00:00.000Z",
        "client_session_id": JANE,
    }


def test_an_acs_users_event_names_its_system_and_connected_account_but_not_the_person(
    recorder: Recorder, stream: Stream, store: Store, workspace: Workspace
) -> None:
    system_id = workspace.acs_system(connected_account_id="00000000-0000-4000-8000-000000000099")

    recorder.record([stream.acs_user(1, acs_system_id=system_id, user_identity_id=JANE)])

    (created,) = listed(store, stream.workspace_id)
    assert created.to_json() == {
        "event_id": created.event_id,
        "event_type": "acs_user.created",
        "workspace_id": stream.workspace_id,
        "created_at": created.created_at,
        "occurred_at": NOW,
        "acs_user_id": "00000000-0000-4000-9000-000000000001",
        "acs_system_id": system_id,
        "connected_account_id": "00000000-0000-4000-8000-000000000099",
    }


def test_a_phones_registration_and_deactivation_are_one_event_each(
    recorder: Recorder, stream: Stream, store: Store
) -> None:
    recorded = recorder.record([*stream.phone(), *stream.phone(is_deleted=True)])

    assert recorded == Recorded(2, [])
    registered, deactivated = listed(store, stream.workspace_id, JANE)
    assert (registered.event_type, deactivated.event_type) == ("phone.registered", "phone.deactivated")
    assert (registered.device_id, registered.user_identity_id) == (PHONE, JANE)
    assert (deactivated.device_id, deactivated.user_identity_id) == (PHONE, JANE)


def test_a_credentials_deletion_is_an_event_and_its_creation_is_none(
    recorder: Recorder, stream: Stream, store: Store, workspace: Workspace
) -> None:
    system_id = workspace.acs_system(connected_account_id="00000000-0000-4000-8000-000000000099")

    recorded = recorder.record([*stream.credential(system_id), *stream.credential(system_id, is_deleted=True)])

    assert recorded == Recorded(1, [])
    (deleted,) = listed(store, stream.workspace_id, JANE)
    assert deleted.to_json() == {
        "event_id": deleted.event_id,
        "event_type": "acs_credential.deleted",
        "workspace_id": stream.workspace_id,
        "created_at": deleted.created_at,
        "occurred_at": "2025-11-25T10:00:00.000Z",
        "acs_credential_id": CREDENTIAL,
        "acs_system_id": system_id,
        "connected_account_id": "00000000-0000-4000-8000-000000000099",
    }


ISSUED: Item = {"state": "active", "state_since": NOW, "issued_at": "2026-11-25T10:00:01.000Z"}
SYNCED: Item = {"synced_version": 1, "synced_at": "2026-11-25T10:00:02.000Z"}
SYNCED_AGAIN: Item = {"synced_version": 2, "synced_at": "2026-11-25T10:00:03.000Z"}
GONE: Item = {"state": "gone", "state_since": "2026-11-25T10:00:04.000Z"}


@pytest.mark.parametrize(
    ("before", "after", "event_type", "occurred_at"),
    [
        ({"state": "pending"}, {**ISSUED, **SYNCED}, "acs_credential.issued", ISSUED["issued_at"]),
        ({}, {"issued_at": ISSUED["issued_at"]}, "acs_credential.issued", ISSUED["issued_at"]),
        (
            {**ISSUED, **SYNCED},
            {**ISSUED, **SYNCED_AGAIN},
            "acs_credential.reissued",
            SYNCED_AGAIN["synced_at"],
        ),
        ({**ISSUED, **SYNCED}, {**ISSUED, **SYNCED, **GONE}, "acs_credential.invalidated", GONE["state_since"]),
    ],
)
def test_what_a_credential_manager_makes_of_a_credential_is_an_event(
    recorder: Recorder,
    stream: Stream,
    store: Store,
    before: Item,
    after: Item,
    event_type: str,
    occurred_at: str,
) -> None:
    recorded = recorder.record([stream.changed_credential(before, after)])

    assert recorded == Recorded(1, [])
    (event,) = listed(store, stream.workspace_id, JANE)
    assert (event.event_type, event.occurred_at) == (event_type, occurred_at)
    assert (event.acs_credential_id, event.acs_system_id) == (CREDENTIAL, SYSTEM)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"version": 1}, {"version": 2}),
        ({"asked_at": NOW}, {"state": "pending", "state_since": NOW}),
        ({"state": "pending"}, {"state": "failed", "reason": "rejected", "state_since": NOW}),
        (ISSUED, {**ISSUED, **SYNCED}),
        ({**ISSUED, **SYNCED_AGAIN}, {**ISSUED, **SYNCED}),
        ({**ISSUED, "being_deleted_at": NOW}, {**ISSUED, **GONE, "being_deleted_at": NOW}),
        ({**ISSUED, **GONE}, {**ISSUED, **GONE, "asked_at": NOW}),
    ],
)
def test_no_other_change_of_a_credential_is_an_event(
    recorder: Recorder, stream: Stream, store: Store, before: Item, after: Item
) -> None:
    assert recorder.record([stream.changed_credential(before, after)]) == Recorded(0, [])
    assert listed(store, stream.workspace_id) == []


def test_a_changed_credential_that_lacks_when_it_changed_is_set_aside(recorder: Recorder, stream: Stream) -> None:
    record = stream.changed_credential(ISSUED, {"state": "gone", "issued_at": NOW})

    recorded = recorder.record([record])

    assert recorded == Recorded(0, [record["dynamodb"]["SequenceNumber"]])


@pytest.fixture(scope="module")
def passes() -> Callable[[Record], bool]:
    """Whether the filter of the stream's mapping lets a record through."""
    mapping = load_template(PROJECT / "template.yaml", {})["EventsFunctionTableStream"].properties
    patterns = [EventPattern(one["Pattern"], "FilterCriteria") for one in mapping["FilterCriteria"]["Filters"]]
    return lambda record: any(pattern.matches(record) for pattern in patterns)


def test_the_filter_lets_through_what_can_be_an_event(
    passes: Callable[[Record], bool], stream: Stream, workspace: Workspace
) -> None:
    of_credential, *_ = stream.credential(workspace.acs_system(), is_deleted=True)
    of_phone, *_ = stream.phone()
    records = [stream.automation(1), stream.acs_user(2), of_credential, of_phone]

    assert all(map(passes, [*records, stream.changed_credential({}, ISSUED)]))


def test_the_filter_keeps_back_entries_and_changes_of_other_things(
    passes: Callable[[Record], bool], stream: Stream, workspace: Workspace
) -> None:
    _, *entries = stream.credential(workspace.acs_system())
    registration = registration_key(stream.workspace_id, JANE, PHONE, SYSTEM)
    changed = [
        stream.record(key, {}, {"changed_at": NOW})
        for key in (registration, phone_key(stream.workspace_id, JANE, PHONE))
    ]

    assert not any(map(passes, [*entries, *changed, stream.record(registration, None, {})]))


def test_a_workspace_that_is_being_deleted_has_no_more_events(
    recorder: Recorder, stream: Stream, store: Store, workspace: Workspace
) -> None:
    put_all(store.table, {deleted_workspace_key(workspace.workspace_id): {"workspace_id": workspace.workspace_id}})

    recorded = recorder.record([stream.automation(1)])

    assert (recorded.events, recorded.failed, recorded.set_aside) == (0, None, [])
    assert listed(store, workspace.workspace_id) == []


def test_enrollments_of_a_workspace_that_is_being_deleted_are_worked_on(
    stream: Stream, store: Store, workspace: Workspace, outlets: Outlets
) -> None:
    put_all(store.table, {deleted_workspace_key(workspace.workspace_id): {"workspace_id": workspace.workspace_id}})
    started: list[object] = []
    record = _raised(workspace, stream)

    recorded = new_recorder(store, outlets, lambda *execution: started.append(execution)).record([record])

    assert (recorded.executions, len(started)) == (1, 1)


def test_a_change_of_nothing_and_a_change_of_something_else_are_no_events(
    recorder: Recorder, stream: Stream, store: Store
) -> None:
    same = stream.acs_user(1)
    same["dynamodb"]["OldImage"] = same["dynamodb"]["NewImage"]
    other = stream.record(Key(f"WORKSPACE#{stream.workspace_id}#ACS_USERS", "x"), None, {})

    assert recorder.record([same, other]) == Recorded(0, [])
    assert listed(store, stream.workspace_id) == []


def test_a_batch_that_comes_twice_and_in_parts_is_listed_once_and_in_order(
    store: Store, outlets: Outlets, stream: Stream
) -> None:
    records = [stream.automation(number) for number in range(100)]

    new_recorder(store, outlets).record(records[:70])
    new_recorder(store, outlets).record(records)
    new_recorder(store, outlets).record(records[50:] + records[50:])

    assert ids(listed(store, stream.workspace_id)) == [f"{number:03x}" for number in range(100)]
    assert ids(listed(store, stream.workspace_id, JANE)) == [f"{number:03x}" for number in range(100)]


@pytest.mark.parametrize("broken", [{}, {"eventID": "x"}, {"eventID": "x", "dynamodb": {"SequenceNumber": "7"}}])
def test_a_record_that_cannot_be_read_is_set_aside_and_holds_up_no_other(
    recorder: Recorder, stream: Stream, store: Store, outlets: Outlets, broken: Record
) -> None:
    recorded = recorder.record([stream.automation(1), broken, stream.automation(2)])

    sequence = broken.get("dynamodb", {}).get("SequenceNumber", "")
    assert recorded == Recorded(2, [sequence])
    assert ids(listed(store, stream.workspace_id)) == ["001", "002"]
    (pointer,) = outlets.messages("failures")
    assert pointer["requestContext"] == {"condition": "RecordUnreadable"}
    assert pointer["DDBStreamBatchInfo"]["startSequenceNumber"] == sequence


def test_an_item_that_lacks_what_its_event_needs_is_set_aside_without_its_data(
    recorder: Recorder, stream: Stream, outlets: Outlets
) -> None:
    record = stream.acs_user(1, email_address="jane@example.com")
    del record["dynamodb"]["NewImage"]["acs_system_id"]

    recorder.record([record])

    (pointer,) = outlets.messages("failures")
    assert "jane" not in json.dumps(pointer)
    assert pointer["DDBStreamBatchInfo"]["startSequenceNumber"] == record["dynamodb"]["SequenceNumber"]


def _webhook(store: Store, workspace_id: str, webhook_id: str, *types: str, **more: str) -> None:
    item: Item = {"webhook_id": webhook_id, "event_types": frozenset(types), **more}
    store.table.transact({"webhook": put_new(webhook_key(workspace_id, webhook_id), item)})


def test_each_webhook_gets_the_events_that_it_wants(
    recorder: Recorder, stream: Stream, store: Store, outlets: Outlets
) -> None:
    _webhook(store, stream.workspace_id, "all", "*")
    _webhook(store, stream.workspace_id, "launches", "enrollment_automation.launched")
    _webhook(store, stream.workspace_id, "off", "*", switched_off_at=NOW)
    _webhook(store, "another workspace", "foreign", "*")

    recorder.record([stream.automation(1), stream.acs_user(2)])

    launched, created = (event.to_json() for event in listed(store, stream.workspace_id))
    told = {"workspace_id": stream.workspace_id}
    messages = sorted(outlets.messages("deliveries"), key=lambda message: (message["webhook_id"], str(message)))
    assert messages == sorted(
        [
            {**told, "webhook_id": "all", "event": launched},
            {**told, "webhook_id": "all", "event": created},
            {**told, "webhook_id": "launches", "event": launched},
        ],
        key=lambda message: (message["webhook_id"], str(message)),
    )


def test_the_bus_gets_every_event(recorder: Recorder, stream: Stream, store: Store, outlets: Outlets) -> None:
    recorder.record([stream.automation(number) for number in range(12)])

    assert outlets.put == [event.to_json() for event in listed(store, stream.workspace_id)]


def test_a_bus_that_refuses_holds_up_neither_the_list_nor_the_webhooks(
    store: Store, outlets: Outlets, stream: Stream
) -> None:
    _webhook(store, stream.workspace_id, "all", "*")
    outlets.refuses_events = True

    recorded = new_recorder(store, outlets).record([stream.automation(1)])

    assert len(recorded.set_aside) == 1
    assert ids(listed(store, stream.workspace_id)) == ["001"]
    assert len(outlets.messages("deliveries")) == 1
    assert [pointer["requestContext"]["condition"] for pointer in outlets.messages("failures")] == ["EventBusRefused"]


def _raised(workspace: Workspace, stream: Stream) -> Record:
    """Return the record of an enrollment that a new phone has raised."""
    identity_id = workspace.user_identity()
    workspace.phone(identity_id)
    enrollment_id = EnrollmentId(stream.workspace_id, identity_id, workspace.credential_manager())
    return stream.record(enrollment_id.key, None, {**enrollment_id.to_json(), "revision": 1})


def _starting(error: Exception) -> Start:
    def start(*_: object) -> None:
        raise error

    return start


def test_a_batch_starts_an_execution_for_what_is_wanted(
    store: Store, outlets: Outlets, stream: Stream, workspace: Workspace
) -> None:
    started: list[Any] = []

    recorded = new_recorder(store, outlets, lambda *call: started.append(call)).record([_raised(workspace, stream)])

    assert recorded.executions == 1
    assert [given["revision"] for _, given in started] == [1]


def test_an_execution_that_is_refused_for_good_holds_up_nothing(
    store: Store, outlets: Outlets, stream: Stream, workspace: Workspace
) -> None:
    records = [stream.acs_user(1), _raised(workspace, stream)]

    recorded = new_recorder(store, outlets, _starting(RefusedError())).record(records)

    assert (recorded.failed, len(recorded.set_aside)) == (None, 1)
    assert ids(listed(store, stream.workspace_id)) == ["001"]
    assert [pointer["requestContext"]["condition"] for pointer in outlets.messages("failures")] == ["ExecutionRefused"]


def test_a_record_whose_execution_cannot_be_started_now_comes_again(
    store: Store, outlets: Outlets, stream: Stream, workspace: Workspace
) -> None:
    records = [stream.acs_user(1), _raised(workspace, stream)]

    recorded = new_recorder(store, outlets, _starting(ServiceUnavailable())).record(records)

    assert recorded.failed == records[1]["dynamodb"]["SequenceNumber"]
    assert ids(listed(store, stream.workspace_id)) == ["001"]


def _requests_of_a_batch(store: Store, outlets: Outlets, records: list[Record]) -> int:
    outlets.left = 10_000
    new_recorder(store, outlets).record(records)
    return 10_000 - outlets.left


def test_a_function_that_is_killed_at_any_request_loses_no_event_and_lists_none_twice(
    store: Store, outlets: Outlets, stream: Stream
) -> None:
    _webhook(store, stream.workspace_id, "all", "*")
    empty = store.items()
    records = [*(stream.automation(number) for number in range(34)), {"dynamodb": {"SequenceNumber": "7"}}]
    requests = _requests_of_a_batch(store, outlets, records)
    whole = ids(listed(store, stream.workspace_id))

    for survived in range(requests):
        store.restore(empty)
        outlets.replace_queue("deliveries")
        outlets.left = survived
        with pytest.raises(Killed):
            new_recorder(store, outlets).record(records)
        outlets.left = None
        assert new_recorder(store, outlets).record(records).failed is None
        found = listed(store, stream.workspace_id)
        assert ids(found) == whole
        assert found == listed(store, stream.workspace_id, JANE)
        assert {message["event"]["event_id"] for message in outlets.messages("deliveries")} == {
            event.event_id for event in found
        }
    assert requests > 10


def test_after_an_outage_the_batch_is_delivered_again_from_where_it_stopped(
    store: Store, outlets: Outlets, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    records = [stream.automation(number) for number in range(60)]
    outlets.ended_by = lambda: EndpointConnectionError(endpoint_url="http://x")
    outlets.left = 8  # the first transaction and what follows it, but not the second

    recorded = new_recorder(store, outlets).record(records)

    assert recorded.failed == records[recorded.events]["dynamodb"]["SequenceNumber"]
    assert recorded.events == 33
    outlets.left = None
    assert new_recorder(store, outlets).record(records[recorded.events :]) == Recorded(27, [])
    assert ids(listed(store, stream.workspace_id)) == [f"{number:03x}" for number in range(60)]


def test_an_event_that_waited_for_an_outage_is_created_when_it_is_listed(
    store: Store, outlets: Outlets, stream: Stream
) -> None:
    before = datetime.now(UTC)

    new_recorder(store, outlets).record([stream.automation(1)])

    (event,) = listed(store, stream.workspace_id)
    assert datetime.fromisoformat(event.created_at) >= before - timedelta(milliseconds=1)
