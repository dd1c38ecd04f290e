"""A call costs the same, however many automations there are: on DynamoDB Local, in a small table and in a large one.

``ENROLLMENTS_FLAT_AUTOMATIONS`` is how many the large one has, ``ENROLLMENTS_FLAT_ROUNDS`` how often a call is timed.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from enrollment.callers import Caller
from enrollment.resources.automations import GetAutomationRequest, LaunchRequest
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import automations
from enrollments.local.stack import lambda_environment
from experiments import figures
from experiments.scale.capture import Request, captured, units_of
from experiments.scale.people import MANAGER_ID, POOL_ID, WORKSPACE_ID, load, made_up_id
from local_aws.functions import environment
from tests.fixtures import create_table
from tests.integration.conftest import Directory

pytestmark = [pytest.mark.flat, pytest.mark.timeout(0)]

FEW = 1_000
MANY = int(os.environ.get("ENROLLMENTS_FLAT_AUTOMATIONS", "200000"))
ROUNDS = int(os.environ.get("ENROLLMENTS_FLAT_ROUNDS", "60"))
# What a machine that does other things adds to a median of so many.
NOISE = 1.5
_PAGE = 100
_WARM_UP_ROUNDS = 3


@dataclass
class Site:
    """A table with its people, and the numbers of those who have no automation."""

    client: Any
    table: Table
    numbers: Iterator[int]
    known: automations.KnownItems = field(default_factory=dict)  # filling the other table takes longer than 60 s
    launched: str = ""

    @property
    def directory(self) -> Directory:
        return Directory(self.table, Caller(WORKSPACE_ID))

    def launch(self, known: automations.KnownItems, **options: Any) -> None:
        request = LaunchRequest(
            user_identity_id=made_up_id("user_identity", next(self.numbers)),
            credential_manager_acs_system_id=MANAGER_ID,
            acs_credential_pool_id=POOL_ID,
            **options,
        )
        launched = automations.launch(self.table, known, Caller(WORKSPACE_ID), request)
        self.launched = launched.automation.enrollment_automation_id

    def get(self) -> None:
        request = GetAutomationRequest(enrollment_automation_id=made_up_id("enrollment_automation", 501))
        automations.get(self.table, Caller(WORKSPACE_ID), request)


CALLS: Mapping[str, Callable[[Site], object]] = {
    "launch": lambda site: site.launch(site.known),
    "launch, nothing known": lambda site: site.launch(automations.known_items()),
    "launch, creating an ACS user": lambda site: site.launch(site.known, create_credential_manager_user=True),
    "get": lambda site: site.get(),
    "list": lambda site: site.directory.automations(made_up_id("user_identity", 501)),
    "delete": lambda site: site.directory.delete_automation(site.launched),
    "user_identities/get": lambda site: site.directory.get(made_up_id("user_identity", 501)),
    "user_identities/list, 100 of all": lambda site: site.directory.listed(limit=_PAGE),
    "user_identities/list, 100 enrolled": lambda site: site.directory.listed(
        limit=_PAGE, credential_manager_acs_system_id=MANAGER_ID
    ),
    "acs/users/list, 100 of all": lambda site: site.directory.acs_users(limit=_PAGE),
    "acs/users/list, 100 of a system": lambda site: site.directory.acs_users(limit=_PAGE, acs_system_id=MANAGER_ID),
}


@pytest.fixture(scope="module")
def sites(dynamodb_local: str) -> Iterator[list[Site]]:
    with environment(lambda_environment(dynamodb_local), without=("AWS_",)):
        sites = [_site(dynamodb_local, enrolled) for enrolled in (FEW, MANY)]
        yield sites
        patient = boto3.client("dynamodb", config=Config(read_timeout=600))
        for site in sites:
            patient.delete_table(TableName=site.table.name)


def _site(endpoint: str, enrolled: int) -> Site:
    client, name = create_client(), f"flat-{enrolled}-{uuid4()}"
    table = create_table(client, name)
    # Each round has three launches; the first one, and one with its requests captured, come before.
    load(endpoint, name, enrolled=enrolled, others=3 * (ROUNDS + _WARM_UP_ROUNDS + 1) + 1)
    site = Site(client, table, count(enrolled))
    site.launch(site.known)
    return site


def test_a_call_costs_the_same_with_few_automations_and_with_many(sites: list[Site]) -> None:
    other_client = create_client()
    few, many = ([_requests(site, call, other_client) for call in CALLS.values()] for site in sites)
    took = _times(sites)
    ratios = {name: median(took[name, 1]) / median(took[name, 0]) for name in CALLS}

    figures.record(
        "flat",
        f"A call with {FEW:,} automations in the table and with {MANY:,}: capacity units by AWS's rules, in brackets "
        f"what DynamoDB Local says, and the ratio of the medians of {ROUNDS} calls each",
        [
            {
                "call": name,
                "requests": len(first),
                f"written, {FEW:,}": _units(first, is_write=True),
                f"written, {MANY:,}": _units(second, is_write=True),
                f"read, {FEW:,}": _units(first, is_write=False),
                f"read, {MANY:,}": _units(second, is_write=False),
                "time": round(ratios[name], 2),
            }
            for name, first, second in zip(CALLS, few, many, strict=True)
        ],
    )
    assert [[_shape(request) for request in requests] for requests in few] == [
        [_shape(request) for request in requests] for requests in many
    ]
    assert {name: ratio for name, ratio in ratios.items() if ratio > NOISE} == {}


def _requests(site: Site, call: Callable[[Site], object], other_client: Any) -> list[Request]:
    with captured(site.client, other_client) as requests:
        call(site)
    return requests


def _times(sites: list[Site]) -> dict[tuple[str, int], list[float]]:
    """Return each call's times in each table; the tables take turns, so that they share what the machine does."""
    took: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(_WARM_UP_ROUNDS + ROUNDS):
        for name, call in CALLS.items():
            for index in (0, 1) if number % 2 else (1, 0):
                start = perf_counter()
                call(sites[index])
                seconds = perf_counter() - start
                if number >= _WARM_UP_ROUNDS:
                    took[name, index].append(seconds)
    return took


def _units(requests: list[Request], *, is_write: bool) -> str:
    reported = sum(request.reported for request in requests if request.is_transaction is is_write)
    return f"{units_of(requests, is_write=is_write):g} ({reported:g})"


def _shape(request: Request) -> tuple[str, int, float, float, float]:
    return (
        request.operation,
        len(request.touches),
        request.units(is_write=True),
        request.units(is_write=False),
        request.reported,
    )
