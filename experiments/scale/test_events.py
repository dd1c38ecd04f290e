"""At which rate recording and listing events come to DynamoDB's first limit, by the simulation."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from enrollment.callers import Caller
from enrollment.resources.events import ListEventsRequest
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.events import list_events
from enrollment.use_cases.recording import list_new
from experiments.scale.burst import LIMITS, dynamodb
from experiments.scale.people import WORKSPACE_ID
from experiments.scale.simulation import Limit, limits_of
from experiments.scale.workload import sampled_kind
from tests.acceptance.large import takes_seconds
from tests.fixtures import create_table

pytestmark = pytest.mark.long


@pytest.fixture
def clients() -> Iterator[tuple[Table, Any, Any]]:
    with dynamodb():
        client = create_client()
        yield create_table(client, "events"), client, create_client()


def event(number: int) -> dict[str, str]:
    return {
        "event_id": str(uuid4()),
        "event_type": "enrollment_automation.launched",
        "workspace_id": WORKSPACE_ID,
        "occurred_at": "2026-11-25T00:00:00.000Z",
        "sequence": f"{number:040}",
        "enrollment_automation_id": str(uuid4()),
        "user_identity_id": str(uuid4()),
    }


def record(table: Table, numbers: range) -> None:
    list_new(table, [event(number) for number in numbers], retention=timedelta(days=30))


def first(limits: list[Limit]) -> tuple[str, int, str]:
    """Return the name of the first limit of a partition, the calls a second that meet it, and what DynamoDB can do."""
    limit = next(limit for limit in limits if not limit.name.startswith("the table's"))
    return limit.name, round(limit.launches), limit.split


def test_a_workspace_takes_500_events_a_second(clients: tuple[Table, Any, Any]) -> None:
    table, client, other = clients

    kind = sampled_kind(lambda number: record(table, range(number, number + 1)), client, other)

    assert first(limits_of(kind, LIMITS)) == ("WORKSPACE#…#EVENTS", 500, "cannot split it: rising sort keys")


@pytest.mark.parametrize(("events", "requests_a_second"), [(10, 1500), pytest.param(500, 40, marks=takes_seconds)])
def test_polling_a_list_meets_its_first_limit(
    clients: tuple[Table, Any, Any], events: int, requests_a_second: int
) -> None:
    table, client, other = clients
    record(table, range(events))
    request = ListEventsRequest.model_validate({"since": "2020-01-01T00:00:00Z", "limit": 500})

    kind = sampled_kind(lambda _: list_events(table, Caller(WORKSPACE_ID), request), client, other)

    name, calls, _ = first(limits_of(kind, LIMITS))
    assert name == "WORKSPACE#…#EVENTS"
    assert calls == pytest.approx(requests_a_second, rel=0.25)
