"""docs/cost.md is what the template, the code and the prices come to."""

import tomllib
from itertools import chain
from pathlib import Path

import pytest

from experiments.figures import without_ages
from experiments.scale.bill import PACES, Bill, Line
from experiments.scale.bill_of_events import BillOfEvents
from experiments.scale.bill_of_provisioning import BillOfProvisioning
from experiments.scale.cost import DOCUMENT, document, measured_durations


@pytest.fixture(scope="module")
def bill() -> Bill:
    return Bill()


@pytest.fixture(scope="module")
def bill_of_events(bill: Bill) -> BillOfEvents:
    return BillOfEvents(bill)


@pytest.fixture(scope="module")
def bill_of_provisioning(bill: Bill) -> BillOfProvisioning:
    return BillOfProvisioning(bill)


def test_the_document_is_up_to_date(
    bill: Bill, bill_of_events: BillOfEvents, bill_of_provisioning: BillOfProvisioning
) -> None:
    made = document(bill, bill_of_events, bill_of_provisioning)

    assert without_ages(DOCUMENT.read_text()) == made, "make cost renews it"


def test_each_price_is_used_but_those_of_what_is_no_default(bill: Bill, bill_of_events: BillOfEvents) -> None:
    taken, (batches, _) = bill.kinds["with a pool"], bill_of_events.batches
    lines = chain(
        bill.of_launches(taken, PACES[0]),
        bill.of_storage(taken),
        bill.of_a_month(),
        bill_of_events.of_events(batches),
        bill_of_events.of_deliveries(batches),
        bill_of_events.of_redeliveries(),
    )

    prices = {name for name, price in bill.prices.items() if isinstance(price, dict)}

    assert prices - {line.price for line in lines} == {"kms_key", "lambda_gb_second_x86_64"}


def test_an_amount_is_the_quantity_times_the_price(bill: Bill) -> None:
    assert bill.amount(Line("written", 8_000_000, "dynamodb_write_unit")) == pytest.approx(5.00)


def test_a_launch_that_creates_an_acs_user_costs_more_units_than_one_that_does_not(bill: Bill) -> None:
    written = [bill.units(taken, PACES[0], is_write=True) for taken in bill.kinds.values()]

    assert written == [8, 18]


def test_an_event_is_three_items_in_a_transaction(bill_of_events: BillOfEvents) -> None:
    assert bill_of_events.written_units == 6


def test_a_phone_with_two_credentials_is_one_execution_that_looks_three_times(
    bill_of_provisioning: BillOfProvisioning,
) -> None:
    course = bill_of_provisioning.person

    assert (course.executions, course.looks, course.operations) == (1, 3, 5)


def test_another_look_asks_the_manager_once(bill_of_provisioning: BillOfProvisioning) -> None:
    course = bill_of_provisioning.look

    assert (course.executions, course.looks, course.operations, course.asked) == (0, 1, 1, 1)


def test_full_batches_save_invocations_and_no_writes(bill_of_events: BillOfEvents) -> None:
    one, full = (
        {line.name: line.quantity for line in bill_of_events.of_events(batches)} for batches in bill_of_events.batches
    )

    assert one["Lambda: requests"] == 1_000_000
    assert full["Lambda: requests"] == pytest.approx(1_000_000 / 300)
    assert one["DynamoDB: written"] == full["DynamoDB: written"] == 6_000_000


def test_each_price_has_a_source_and_says_where_it_was_seen() -> None:
    prices = tomllib.loads((Path(__file__).parent / "prices.toml").read_text())

    assert [name for name, price in prices.items() if isinstance(price, dict) and not price["seen"]] == []
    assert {str(price["source"])[:23] for price in prices.values() if isinstance(price, dict)} == {
        "https://aws.amazon.com/"
    }


def test_durations_are_those_of_what_is_shipped() -> None:
    figures = [
        {"function": function, "row": row, "unit": "ms", "medians": {"shipped": shipped, "bare": 9}, "ratios": {}}
        for function, row, shipped in [
            ("launch", "start", 300.04),
            ("launch", "CPU of a warm request", 1.234),
            ("authorizer", "start", 200),
            ("authorizer", "CPU of a warm request", 0.5),
        ]
    ]

    measured = {"commit": "abc1234", "date": "2026-11-25", "is_clean": True}

    assert measured_durations({"figures": figures, **measured}) == {
        **measured,
        "launch": {"start_ms": 300.0, "warm_ms": 1.23},
        "authorizer": {"start_ms": 200, "warm_ms": 0.5},
    }
