"""Lists over HTTP: every record once, whatever happens meanwhile, and cursors that nobody can make up."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from enrollment.callers import TokenKind
from enrollment.use_cases.tokens import NewToken, create_token
from tests.acceptance.conftest import Service
from tests.acceptance.crowd import Crowd, crowd, occurrences
from tests.acceptance.sdk import SEAM_1, Sdk, installed, javascript, param, python

pytestmark = pytest.mark.long

IDENTITIES = "/user_identities/list"
ACS_USERS = "/acs/users/list"
SDKS = {"seam-1": SEAM_1, "seam-3": Sdk(python(3)), "http-1": Sdk(javascript(1)), "http-2": Sdk(javascript(2))}
INVALID = {
    "error": {
        "type": "invalid_input",
        "message": 'Invalid page cursor for "page_cursor"',
        "validation_errors": {"_errors": [], "page_cursor": {"_errors": ["Invalid page cursor"]}},
    },
    "ok": False,
}


@pytest.fixture(scope="module")
def hundreds() -> Iterator[Crowd]:
    with crowd(600) as hundreds:
        yield hundreds


@pytest.fixture
def service(hundreds: Crowd) -> Service:
    return hundreds.service


@pytest.fixture
def demo(hundreds: Crowd) -> Service:
    return hundreds.demo


@pytest.fixture
def cursor(service: Service) -> str:
    """The cursor of the first page of all user identities."""
    return next_cursor(service, IDENTITIES, {"limit": 5})


def next_cursor(service: Service, route: str, parameters: dict[str, Any], **token: str) -> str:
    answer = service.post(route, parameters, **token)
    assert answer.status_code == 200
    found: str = answer.json()["pagination"]["next_page_cursor"]
    return found


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()) == (400, INVALID)


@pytest.mark.parametrize("sdk", [param(sdk, name) for name, sdk in SDKS.items()])
def test_a_paginator_returns_each_once_while_others_come_and_go(hundreds: Crowd, sdk: Sdk) -> None:
    with hundreds.coming_and_going() as done:
        records = installed(sdk).all_pages(hundreds.service, IDENTITIES, {"limit": 50})

    assert occurrences(records, hundreds.ids) == ({1}, 1)
    assert min(done["created"], done["deleted"]) > 0


@pytest.mark.parametrize("sdk", [param(sdk, name) for name, sdk in SDKS.items()])
def test_a_paginator_pages_acs_users_of_one_moment(service: Service, sdk: Sdk) -> None:
    system_id = service.workspace.acs_system()
    created = [
        service.workspace.acs_user(system_id, created_at=f"2026-01-01T00:00:00.00{index % 2}Z") for index in range(9)
    ]

    records = installed(sdk).all_pages(service, ACS_USERS, {"acs_system_id": system_id, "limit": 2})

    assert sorted(record["acs_user_id"] for record in records) == sorted(created)


def test_a_cursor_that_was_changed_anywhere_is_invalid(service: Service, cursor: str) -> None:
    swapped = str.maketrans(dict.fromkeys(cursor, "A") | {"A": "B"})
    changed = [cursor[:index] + cursor[index].translate(swapped) + cursor[index + 1 :] for index in range(len(cursor))]
    removed = [cursor[:index] + cursor[index + 1 :] for index in range(len(cursor))]
    added = [cursor[:index] + "A" + cursor[index:] for index in range(len(cursor) + 1)]
    altered = {*changed, *removed, *added} - {cursor, cursor.rstrip("=")}  # one without padding is as good

    # One connection for hundreds of requests.
    with httpx.Client(headers={"Authorization": f"Bearer {service['SEAM_API_KEY']}"}) as client:
        address = f"{service.base_url}{IDENTITIES}"
        taken = [text for text in altered if not refused(client.post(address, json={"page_cursor": text}))]

    assert len(altered) > 2 * len(cursor)
    assert taken == []


@pytest.mark.parametrize("more", ["=", "==", "\n", " ", "é", ".", "\u0000"])
def test_a_cursor_with_anything_behind_it_is_invalid(service: Service, cursor: str, more: str) -> None:
    assert refused(service.post(IDENTITIES, {"limit": 5, "page_cursor": cursor + more}))
    assert refused(service.post(IDENTITIES, {"limit": 5, "page_cursor": more}))


def test_a_cursor_is_good_in_its_workspace_only(demo: Service) -> None:
    body = {"page_cursor": next_cursor(demo, IDENTITIES, {"limit": 1})}
    person = demo["SEAM_PERSONAL_ACCESS_TOKEN"]
    there = {"headers": {"seam-workspace": demo["OTHER_SEAM_WORKSPACE_ID"]}}
    here = {"headers": {"seam-workspace": demo["SEAM_WORKSPACE_ID"]}}

    assert refused(demo.post(IDENTITIES, body, token=demo["OTHER_SEAM_API_KEY"]))
    assert refused(demo.post(IDENTITIES, body, token=person, **there))
    assert demo.post(IDENTITIES, body, token=person, **here).status_code == 200


def test_a_cursor_of_the_workspace_is_not_for_a_client_session(demo: Service) -> None:
    body = {"page_cursor": next_cursor(demo, IDENTITIES, {"limit": 1})}

    assert refused(demo.post(IDENTITIES, body, token=demo["SEAM_CLIENT_SESSION_TOKEN"]))


@pytest.mark.parametrize(
    ("route", "parameters"),
    [
        ("/acs/users/list", {}),
        ("/acs/systems/list", {}),
        (IDENTITIES, {"search": "Person"}),
        (IDENTITIES, {"created_before": "2999-01-01T00:00:00Z"}),
        (IDENTITIES, {"user_identity_ids": []}),
    ],
)
def test_a_cursor_is_good_for_its_list_only(
    service: Service, cursor: str, route: str, parameters: dict[str, Any]
) -> None:
    assert refused(service.post(route, {"limit": 5, "page_cursor": cursor} | parameters))


def test_a_cursor_is_good_for_its_system_only(service: Service) -> None:
    first, second = service.workspace.acs_system(), service.workspace.acs_system()
    for _ in range(2):
        service.workspace.acs_user(first)
    cursor = next_cursor(service, ACS_USERS, {"acs_system_id": first, "limit": 1})

    answers = [
        service.post(ACS_USERS, {"acs_system_id": system_id, "limit": 1, "page_cursor": cursor})
        for system_id in (first, second)
    ]

    assert [refused(answer) for answer in answers] == [False, True]


def test_pages_of_one_list_can_differ_in_length_and_verb(service: Service) -> None:
    key = {"Authorization": f"Bearer {service['SEAM_API_KEY']}"}
    whole = service.post(IDENTITIES, {"search": "PERSON 1"}).json()["user_identities"]
    first = service.post(IDENTITIES, {"search": "PERSON 1", "limit": 7}).json()
    query = {"search": "PERSON 1", "page_cursor": first["pagination"]["next_page_cursor"], "_strict": "true"}

    rest = service.request("GET", IDENTITIES, params=query | {"limit": "500"}, headers=key).json()

    assert first["user_identities"] + rest["user_identities"] == whole


def test_the_next_pages_address_works_as_it_stands(service: Service) -> None:
    parameters = {"search": "person 1", "created_before": "2026-06-01T00:00:00.1+01:00", "limit": 9}
    first = service.post(IDENTITIES, parameters).json()
    address = first["pagination"]["next_page_url"]
    cursor = first["pagination"]["next_page_cursor"]

    by_address = httpx.get(address, headers={"Authorization": f"Bearer {service['SEAM_API_KEY']}"}, timeout=30)

    assert address.startswith(f"{service.base_url}{IDENTITIES}?")
    assert parse_qs(urlsplit(address).query)["page_cursor"] == [cursor]
    by_cursor = service.post(IDENTITIES, parameters | {"page_cursor": cursor}).json()
    assert by_address.status_code == 200
    assert by_address.json()["user_identities"] == by_cursor["user_identities"]
    assert len(by_cursor["user_identities"]) == 9


def test_the_last_page_says_so(service: Service) -> None:
    system_id = service.workspace.acs_system()
    service.workspace.acs_user(system_id)

    answer = service.post(ACS_USERS, {"acs_system_id": system_id, "limit": 1}).json()

    assert answer["pagination"] == {"has_next_page": False, "next_page_cursor": None, "next_page_url": None}


def test_a_client_session_pages_its_own_list(service: Service) -> None:
    workspace = service.workspace
    identity_id = workspace.user_identity()
    for _ in range(2):
        body = {"acs_user_id": workspace.acs_user(workspace.acs_system()), "user_identity_id": identity_id}
        assert service.post("/user_identities/add_acs_user", body).status_code == 200
    session = NewToken(TokenKind.CLIENT_SESSION, [workspace.workspace_id], [identity_id])
    token = {"token": create_token(workspace.table, session)}
    cursor = next_cursor(service, ACS_USERS, {"limit": 1}, **token)

    page = service.post(ACS_USERS, {"limit": 1, "page_cursor": cursor}, **token).json()

    assert len(page["acs_users"]) == 1
    assert page["pagination"]["has_next_page"] is False
    assert refused(service.post(ACS_USERS, {"limit": 1, "page_cursor": cursor}))
