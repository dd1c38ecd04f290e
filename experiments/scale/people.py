"""A busy workspace: people by the hundred thousand, each enrolled with one credential manager."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import batched, chain
from multiprocessing import get_context
from random import Random
from urllib.parse import urlsplit
from uuid import UUID

from enrollment.resources.automations import EnrollmentAutomation, LaunchRequest
from enrollment.store.actions import put
from enrollment.store.attributes import Item
from enrollment.store.items import (
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_user_identity,
)
from enrollment.store.keys import Key, acs_user_link_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.automations import automation_item
from tests.items import unsigned

_FIRST = datetime(2026, 1, 9, 5, 45, 33, tzinfo=UTC)
# One in so many has an ACS user already.
_LINKED_EACH = 10
_ITEMS_AT_ONCE = 25
_PROCESSES = 2


def made_up_id(kind: str, number: int = 0) -> str:
    """Return a random id that every process makes up alike."""
    return str(UUID(int=Random(f"{kind} {number}").getrandbits(128), version=4))


WORKSPACE_ID = made_up_id("workspace")
MANAGER_ID = made_up_id("acs_system")
POOL_ID = made_up_id("acs_credential_pool")


def building() -> dict[Key, Item]:
    """Return the items of the credential manager and its pool."""
    known: Item = {"workspace_id": WORKSPACE_ID, "created_at": timestamp(_FIRST)}
    system: Item = {
        "acs_system_id": MANAGER_ID,
        "name": "North Tower",
        "is_credential_manager": True,
        "connected_account_id": made_up_id("connected_account"),
        "time_zone": "Europe/Berlin",
    }
    pool: Item = {
        "acs_credential_pool_id": POOL_ID,
        "acs_system_id": MANAGER_ID,
        "display_name": "Mobile credentials",
        "external_type": "hid_part_number",
        "external_type_display_name": "HID part number",
    }
    return stored_acs_system({**known, **system}) | stored_acs_credential_pool({**known, **pool})


def person(number: int, *, is_enrolled: bool) -> dict[Key, Item]:
    """Return the items of a person, which are as large as another's.

    Args:
        number: Which one.
        is_enrolled: Whether there is an automation.
    """
    created_at = timestamp(_FIRST + timedelta(milliseconds=number))
    identity_id, acs_user_id = made_up_id("user_identity", number), made_up_id("acs_user", number)
    profile: Item = {
        "workspace_id": WORKSPACE_ID,
        "created_at": created_at,
        "full_name": f"Jane Doe the {number:07}th",
        "email_address": f"jane.doe.{number:07}@example.com",
    }
    if not is_enrolled:
        return stored_user_identity({**profile, "user_identity_id": identity_id})
    automation_id = made_up_id("enrollment_automation", number)
    automation = EnrollmentAutomation(
        user_identity_id=identity_id,
        enrollment_automation_id=automation_id,
        acs_credential_provisioning_automation_id=automation_id,
        credential_manager_acs_system_id=MANAGER_ID,
        is_running=True,
        workspace_id=WORKSPACE_ID,
        created_at=created_at,
    )
    asked = LaunchRequest(user_identity_id=identity_id, credential_manager_acs_system_id=MANAGER_ID)
    enrolled = stored_automation(automation_item(automation, asked))
    if number % _LINKED_EACH:
        return stored_user_identity({**profile, "user_identity_id": identity_id}) | enrolled
    identity = {**profile, "user_identity_id": identity_id, "acs_user_ids": frozenset({acs_user_id})}
    acs_user = {
        **profile,
        "acs_user_id": acs_user_id,
        "acs_system_id": MANAGER_ID,
        "user_identity_id": identity_id,
    }
    link: dict[Key, Item] = {acs_user_link_key(WORKSPACE_ID, identity_id, MANAGER_ID): {"acs_user_id": acs_user_id}}
    return stored_user_identity(identity) | enrolled | stored_acs_user(acs_user) | link


@dataclass(frozen=True, slots=True)
class _Share:
    endpoint: str
    table_name: str
    numbers: range
    is_enrolled: bool


def load(endpoint: str, table_name: str, *, enrolled: int, others: int) -> None:
    """Fill a table, as fast as the server takes it.

    Args:
        endpoint: A DynamoDB server that does not look at signatures.
        table_name: The table.
        enrolled: How many people have an automation; their numbers begin with 0.
        others: How many have none; their numbers come behind.
    """
    _send(endpoint, table_name, building().items())
    shares = [
        _Share(endpoint, table_name, range(first + part, first + count, _PROCESSES), is_enrolled)
        for first, count, is_enrolled in ((0, enrolled, True), (enrolled, others, False))
        for part in range(_PROCESSES)
    ]
    with get_context("spawn").Pool(_PROCESSES) as pool:
        pool.map(_load_share, shares, chunksize=1)


def _load_share(share: _Share) -> None:
    people = (person(number, is_enrolled=share.is_enrolled).items() for number in share.numbers)
    _send(share.endpoint, share.table_name, chain.from_iterable(people))


def _send(endpoint: str, table_name: str, items: Iterable[tuple[Key, Item]]) -> None:
    # Not by botocore, whose way of sending 25 items takes longer than storing them.
    headers = unsigned("BatchWriteItem")
    with closing(HTTPConnection(urlsplit(endpoint).netloc)) as connection:
        for requests in _requests(items):
            connection.request("POST", "/", json.dumps({"RequestItems": {table_name: requests}}), headers)
            answer = json.load(connection.getresponse())
            assert answer.get("UnprocessedItems") == {}, answer


def _requests(items: Iterable[tuple[Key, Item]]) -> Iterator[list[dict[str, object]]]:
    for some in batched(items, _ITEMS_AT_ONCE, strict=False):
        yield [{"PutRequest": put(key, item)["Put"]} for key, item in some]
