"""Deliveries to webhooks: attempts, the breaker, redelivery and switching off, whatever fails in the middle."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook as Verifier

from enrollment.callers import Caller
from enrollment.errors import ServiceUnavailable
from enrollment.outbound.https import Attempt
from enrollment.resources.webhooks import CreateWebhookRequest, UpdateWebhookRequest, WebhookRequest
from enrollment.store.attributes import Item
from enrollment.store.keys import webhook_key
from enrollment.use_cases import webhooks
from enrollment.use_cases.deliveries import Deliverer, Message, Outcome
from enrollment.use_cases.redelivery import WAITS, deliver_first, redeliver
from tests.fixtures import Store

WORKSPACE = str(uuid4())
CALLER = Caller(WORKSPACE)
MASTER = b"master"
URL = "https://example.com/hook"


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Receiver:
    """Takes the place of an address.

    Attributes:
        status: What it answers; ``None`` is no answer.
        got: The ids of the events that it has accepted.
        asked: How many requests it has got.
    """

    status: int | None = 200
    got: list[str] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    asked: int = 0

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        assert url == URL
        self.asked += 1
        self.headers, self.body = headers, body
        attempt = Attempt(self.status, None if self.status else "connection", 0.01)
        if attempt.is_delivered:
            self.got.append(json.loads(body)["event_id"])
        return attempt


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 25, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Service:
    """The deliverer with a receiver, a clock, and a queue that is delivered at once.

    Attributes:
        started: The executions that were started, by their names.
    """

    store: Store
    receiver: Receiver = field(default_factory=Receiver)
    clock: Clock = field(default_factory=Clock)
    started: dict[str, Any] = field(default_factory=dict)
    queued: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def deliverer(self) -> Deliverer:
        return Deliverer(self.store.table, master=lambda: MASTER, post=self.receiver.post, now=self.clock)

    def webhook(self, *types: str) -> str:
        request = CreateWebhookRequest(url=URL, event_types=list(types) or ["*"])
        created = webhooks.create(self.store.table, CALLER, request, check_address=lambda _: None, master=MASTER)
        return created.webhook_id

    def item(self, webhook_id: str) -> Item:
        item = self.store.table.get(webhook_key(WORKSPACE, webhook_id))
        assert item is not None
        return item

    def send(self, messages: list[Mapping[str, Any]]) -> None:
        self.queued += messages

    def start(self, name: str, given: Any) -> None:
        self.started.setdefault(name, given)

    def handle(self, message: Message) -> Outcome:
        """Do what the function ``deliveries`` does with a message."""
        return deliver_first(message, self.deliverer, self.start).outcome

    def drain(self) -> None:
        """Handle what is in the queue."""
        while self.queued:
            self.handle(Message.from_json(self.queued.pop(0)))

    def run(self, given: Any, steps: "Steps") -> str:
        queue: Any = self
        return redeliver(given, steps, self.deliverer, queue, self.start)


@dataclass
class Steps:
    """Runs steps at once, and passes the time of waits.

    Attributes:
        before: Is called before each step.
        waited: The waits.
    """

    clock: Clock
    before: Callable[[str], None] = lambda _: None
    waited: list[int] = field(default_factory=list)

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        self.before(name)
        return json.loads(json.dumps(function()))

    def wait(self, _: str, seconds: int) -> None:
        self.waited.append(seconds)
        self.clock.go_on(seconds=seconds)


@pytest.fixture
def service(store: Store) -> Service:
    return Service(store)


def message(webhook_id: str, number: int = 1) -> Message:
    event = {
        "event_id": f"00000000-0000-4000-8000-{number:012x}",
        "event_type": "acs_user.created",
        "workspace_id": WORKSPACE,
        "created_at": f"2026-11-25T00:00:00.{number:03}Z",
    }
    return Message(WORKSPACE, webhook_id, event)


def failing_for(service: Service, webhook_id: str, **duration: float) -> None:
    """Let a webhook's first delivery fail, and time go by."""
    service.receiver.status = 500
    assert service.handle(message(webhook_id, 999)) is Outcome.FAILED
    service.clock.go_on(**duration)


def breaker_open(service: Service, webhook_id: str, *, events: int) -> Any:
    """Open a webhook's breaker and let it hold events.  Return the input of its execution."""
    failing_for(service, webhook_id, seconds=61)
    service.started.clear()
    for number in range(1, events + 1):
        service.handle(message(webhook_id, number))
    ((_, given),) = service.started.items()
    return given


def test_a_delivery_is_signed_and_writes_nothing(service: Service) -> None:
    webhook_id = service.webhook()
    service.clock.now = datetime.now(UTC)
    before = service.store.items()

    assert service.handle(message(webhook_id)) is Outcome.DELIVERED

    secret = webhooks.get(service.store.table, CALLER, WebhookRequest(webhook_id=webhook_id), master=MASTER).secret
    named = {name.replace("svix", "webhook"): value for name, value in service.receiver.headers.items()}
    assert Verifier(secret).verify(service.receiver.body, named) == message(webhook_id).event
    assert named["webhook-id"] == message(webhook_id).event["event_id"]
    assert service.store.items() == before


@pytest.mark.parametrize("change", ["deleted", "other types", "switched off"])
def test_what_a_webhook_no_longer_wants_is_dropped(service: Service, change: str) -> None:
    webhook_id = service.webhook()
    table = service.store.table
    if change == "deleted":
        webhooks.delete_webhook(table, CALLER, WebhookRequest(webhook_id=webhook_id))
    elif change == "other types":
        update = UpdateWebhookRequest(webhook_id=webhook_id, event_types=["phone.registered"])
        webhooks.update(table, CALLER, update)
    else:
        failing_for(service, webhook_id, days=5)
        assert service.handle(message(webhook_id, 2)) is Outcome.SWITCHED_OFF
    asked = service.receiver.asked

    assert service.handle(message(webhook_id)) is Outcome.DROPPED
    assert service.receiver.asked == asked


def test_a_failure_is_noted_and_a_success_ends_it(service: Service) -> None:
    webhook_id = service.webhook()

    failing_for(service, webhook_id, seconds=5)
    assert service.item(webhook_id)["failing_since"] == "2026-11-25T00:00:00.000Z"

    service.receiver.status = 200
    service.handle(message(webhook_id))
    assert "failing_since" not in service.item(webhook_id)


def test_a_failed_event_is_tried_again_with_the_contracts_waits_and_then_given_up(service: Service) -> None:
    webhook_id = service.webhook()
    service.receiver.status = 500
    service.handle(message(webhook_id))
    ((_, given),) = service.started.items()
    steps = Steps(Clock())  # the webhook's clock stands still, so that its breaker stays closed

    assert service.run(given, steps) == "given_up"

    assert service.receiver.asked == 8
    assert WAITS == (5, 300, 1800, 7200, 18000, 36000, 36000)
    assert [abs(waited / wait - 1) <= 0.1 for waited, wait in zip(steps.waited[1:], WAITS[1:], strict=True)] == 6 * [
        True
    ]
    assert 4 <= steps.waited[0] <= 6


def test_a_failed_event_that_is_delivered_later_is_done_with(service: Service) -> None:
    webhook_id = service.webhook()
    service.receiver.status = 500
    service.handle(message(webhook_id))
    ((_, given),) = service.started.items()
    service.receiver.status = 200
    steps = Steps(service.clock)

    assert service.run(given, steps) == "delivered"
    assert len(steps.waited) == 1
    assert "failing_since" not in service.item(webhook_id)


def test_an_events_execution_has_one_name_however_often_it_is_started(service: Service) -> None:
    webhook_id = service.webhook()
    service.receiver.status = 500

    for _ in range(3):
        service.handle(message(webhook_id))

    ((name, _),) = service.started.items()
    assert len(name) <= 64


def test_after_a_minute_of_failures_events_are_held_for_one_execution(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    service.started.clear()

    outcomes = [service.handle(message(webhook_id, number)) for number in (3, 1, 2)]

    assert outcomes == 3 * [Outcome.HELD]
    assert service.receiver.asked == 2  # the first failure, and the one that opened the breaker
    (name,) = service.started
    assert name.startswith("breaker-")
    assert len(name) <= 64
    held = [held.event["event_id"][-1] for _, held in service.deliverer.held(WORKSPACE, webhook_id)]
    assert held == ["1", "2", "3"]


def test_once_the_address_answers_what_is_held_is_delivered_once(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    service.started.clear()
    for number in (1, 2, 3):
        service.handle(message(webhook_id, number))
    ((_, given),) = service.started.items()

    def come_back(name: str) -> None:
        service.receiver.status = 200 if name == "probe 3" else service.receiver.status

    assert service.run(given, Steps(service.clock, come_back)) == "delivered"
    service.drain()

    assert [event_id[-1] for event_id in service.receiver.got] == ["1", "2", "3"]
    assert service.item(webhook_id).keys() & {"failing_since", "breaker_opened_at"} == set()
    assert not list(service.deliverer.held(WORKSPACE, webhook_id))


def test_what_is_held_is_sent_by_several_steps_if_it_is_much(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrollment.use_cases.redelivery.MOST_SENT", 12)
    webhook_id = service.webhook()
    given = breaker_open(service, webhook_id, events=25)
    service.receiver.status = 200
    names: list[str] = []

    service.run(given, Steps(service.clock, names.append))

    assert names == ["probe 1", *(f"send what is held, part {part}" for part in (1, 2, 3))]
    service.drain()
    assert [int(event_id[-3:], 16) for event_id in service.receiver.got] == list(range(1, 26))


def test_what_is_held_is_sent_after_an_update_has_closed_the_breaker(service: Service) -> None:
    webhook_id = service.webhook()
    given = breaker_open(service, webhook_id, events=2)
    webhooks.update(service.store.table, CALLER, UpdateWebhookRequest(webhook_id=webhook_id, event_types=["*"]))
    service.receiver.status = 200

    assert service.run(given, Steps(service.clock)) == "delivered"
    service.drain()

    assert [event_id[-1] for event_id in service.receiver.got] == ["1", "2"]


def test_what_is_held_for_a_deleted_webhook_is_dropped(service: Service) -> None:
    webhook_id = service.webhook()
    given = breaker_open(service, webhook_id, events=2)
    webhooks.delete_webhook(service.store.table, CALLER, WebhookRequest(webhook_id=webhook_id))
    asked = service.receiver.asked

    assert service.run(given, Steps(service.clock)) == "dropped"
    service.drain()

    assert service.receiver.asked == asked
    assert service.store.items() == {}


def test_a_webhook_that_is_deleted_during_an_attempt_does_not_come_back(service: Service) -> None:
    webhook_id = service.webhook()
    service.receiver.status = 500

    def delete_and_fail(*request: Any) -> Attempt:
        webhooks.delete_webhook(service.store.table, CALLER, WebhookRequest(webhook_id=webhook_id))
        return service.receiver.post(*request)

    late = Deliverer(service.store.table, master=lambda: MASTER, post=delete_and_fail, now=service.clock)

    assert late.deliver(message(webhook_id)).outcome is Outcome.FAILED
    assert service.store.items() == {}


def test_an_event_whose_own_execution_finds_the_breaker_open_is_held(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    (_, given), *_ = service.started.items()
    service.handle(message(webhook_id, 1))

    assert service.run(given, Steps(service.clock)) == "held"
    assert len(list(service.deliverer.held(WORKSPACE, webhook_id))) == 2


def test_a_webhook_that_fails_for_five_days_is_switched_off_and_update_switches_it_on(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    service.started.clear()
    service.handle(message(webhook_id))
    ((_, given),) = service.started.items()

    def keep(_: str) -> None:  # something to try with
        if service.deliverer.deliver(message(webhook_id)).outcome is not Outcome.HELD:
            assert "switched_off_at" in service.item(webhook_id)

    assert service.run(given, Steps(service.clock, keep)) == "switched_off"
    assert service.clock.now - datetime(2026, 11, 25, tzinfo=UTC) >= timedelta(days=5)
    webhooks.update(service.store.table, CALLER, UpdateWebhookRequest(webhook_id=webhook_id, event_types=["*"]))
    service.receiver.status = 200
    assert service.handle(message(webhook_id)) is Outcome.DELIVERED


def test_what_is_held_for_too_long_is_dropped_and_the_breaker_closes(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    service.started.clear()
    service.handle(message(webhook_id))
    ((_, given),) = service.started.items()

    assert service.run(given, Steps(service.clock)) == "dropped"

    assert not list(service.deliverer.held(WORKSPACE, webhook_id))
    assert "breaker_opened_at" not in service.item(webhook_id)
    assert "failing_since" in service.item(webhook_id)


def test_another_webhook_is_not_held_up(service: Service) -> None:
    dead, alive = service.webhook(), service.webhook()
    failing_for(service, dead, seconds=61)
    service.handle(message(dead))
    service.receiver.status = 200

    assert service.handle(message(alive)) is Outcome.DELIVERED


def test_killed_at_any_request_an_event_is_delivered_once_the_address_answers(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    begun, at = service.store.items(), service.clock.now
    left: list[int | None] = [None]

    def count(**_: Any) -> None:
        if left[0] is not None:
            if left[0] == 0:
                raise Killed
            left[0] -= 1

    service.store.watch("before-send.dynamodb", count)
    for survived in range(30):
        service.store.restore(begun)
        service.clock.now, service.receiver.status = at, 500
        service.receiver.got.clear()
        service.started.clear()
        service.queued[:] = [message(webhook_id, number).to_json() for number in (1, 2)]
        left[0] = survived
        was_killed = False
        try:
            deliver_all(service)
        except Killed:
            was_killed = True
        left[0] = None
        deliver_all(service)
        assert {event_id[-1] for event_id in service.receiver.got} >= {"1", "2"}
        if not was_killed:
            break
    assert 8 < survived < 29


def deliver_all(service: Service) -> None:
    """Deliver what is in the queue, which keeps a message until it is done with, and run what that has started."""
    service.receiver.status = 500
    while service.queued:
        service.handle(Message.from_json(service.queued[0]))
        service.queued.pop(0)
    service.receiver.status = 200
    while service.started:
        name, given = next(iter(service.started.items()))
        service.run(given, Steps(service.clock))
        del service.started[name]
        while service.queued:
            service.handle(Message.from_json(service.queued[0]))
            service.queued.pop(0)


def test_an_event_is_not_held_by_a_breaker_that_has_been_closed_meanwhile(service: Service) -> None:
    webhook_id = service.webhook()
    failing_for(service, webhook_id, seconds=61)
    service.handle(message(webhook_id, 1))
    stale = service.item(webhook_id)
    service.receiver.status = 200
    assert service.deliverer.probe(WORKSPACE, webhook_id).outcome is Outcome.DELIVERED

    class Stale(type(service.store.table)):  # type: ignore[misc]
        looked = 0

        def get(self, key: Any) -> Any:
            self.looked += 1
            return stale if self.looked == 1 else super().get(key)

    table = Stale(service.store.client, service.store.table_name)
    late = Deliverer(table, master=lambda: MASTER, post=service.receiver.post, now=service.clock)

    assert late.deliver(message(webhook_id, 2)).outcome is Outcome.DELIVERED
    assert not list(service.deliverer.held(WORKSPACE, webhook_id))


def test_a_message_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no delivery"):
        Message.from_json({"workspace_id": "x"})


def test_an_outage_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook_id = service.webhook()
    monkeypatch.setattr(service.store.table.__class__, "get", lambda *_: (_ for _ in ()).throw(ServiceUnavailable()))

    with pytest.raises(ServiceUnavailable):
        service.handle(message(webhook_id))
