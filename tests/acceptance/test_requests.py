"""What a request may look like over HTTP: bodies that are not there, and query strings."""

import json

import httpx
import pytest

from tests.acceptance.conftest import Service
from tests.fixtures import PROJECT

LIST = "/user_identities/list"
PATHS = json.loads((PROJECT / "openapi.json").read_text())["paths"]
WITH_BODY = sorted(
    (verb.upper(), path) for path, verbs in PATHS.items() for verb in verbs if verb in {"patch", "post", "put"}
)


def authorization(service: Service, target: str) -> dict[str, str]:
    """Return the header with a token that the route takes."""
    is_for_servers = {"api_key": []} in PATHS[target.partition("?")[0]]["post"]["security"]
    return {"Authorization": f"Bearer {service['SEAM_API_KEY' if is_for_servers else 'SEAM_CLIENT_SESSION_TOKEN']}"}


def ask(service: Service, verb: str, target: str, **headers: str) -> httpx.Response:
    return service.request(verb, target, headers=authorization(service, target) | headers)


def error(response: httpx.Response) -> tuple[int, str, str]:
    refusal = response.json()["error"]
    return response.status_code, refusal["type"], refusal["message"]


def listed(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return sorted(identity["user_identity_id"] for identity in response.json()["user_identities"])


@pytest.mark.parametrize(("verb", "path"), WITH_BODY)
@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "nonsense", "application/json"])
def test_no_body_is_answered_as_no_parameters_are(
    service: Service, verb: str, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    without_body = ask(service, verb, path, **headers)
    without_parameters = service.request(verb, path, headers=authorization(service, path), json={})

    assert without_body.status_code == without_parameters.status_code
    assert without_body.json().get("error") == without_parameters.json().get("error")


@pytest.mark.parametrize(("verb", "path"), WITH_BODY)
def test_a_body_needs_its_content_type(service: Service, verb: str, path: str) -> None:
    headers = {**authorization(service, path), "Content-Type": "text/plain"}

    response = service.request(verb, path, headers=headers, content=b"{}")

    message = f'{verb} requests must have Content-Type header with "application/json"'
    assert error(response) == (400, "invalid_content_type", message)


@pytest.mark.parametrize(
    "query",
    [
        "user_identity_ids={0}&user_identity_ids={1}",
        "user_identity_ids[]={0}&user_identity_ids[]={1}",
        "user_identity_ids%5B%5D={0}&user_identity_ids%5b%5d={1}",
        "user_identity_ids={0}&user_identity_ids[]={1}",
        "user_identity_ids[]={0}&user_identity_ids=&user_identity_ids={1}",
    ],
)
def test_an_array_of_a_query_string_is_read_in_each_form(service: Service, query: str) -> None:
    ids = sorted(service.workspace.user_identity() for _ in range(2))
    service.workspace.user_identity()

    assert listed(ask(service, "GET", f"{LIST}?{query.format(*ids)}")) == ids


@pytest.mark.parametrize("query", ["user_identity_ids=", "user_identity_ids[]=", "user_identity_ids"])
def test_an_array_without_elements_finds_nothing(service: Service, query: str) -> None:
    assert listed(ask(service, "GET", f"{LIST}?{query}")) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("search=a&search=b", 'Expected string, received array for "search"'),
        ("search[]=a", 'Expected string, received array for "search"'),
        ("search%5B%5D=a", 'Expected string, received array for "search"'),
        ("search=", 'Expected string, received null for "search"'),
        ("search", 'Expected string, received null for "search"'),
        ("limit=", 'Expected number, received null for "limit"'),
        ("limit=1&limit=2", 'Expected number, received array for "limit"'),
        ("page_cursor=a&page_cursor=b", 'Expected string, received array for "page_cursor"'),
        ("created_before=", 'Expected string, received null for "created_before"'),
        ("credential_manager_acs_system_id=", 'Expected string, received null for "credential_manager_acs_system_id"'),
        ("user_identity_ids=x", 'Invalid uuid for "user_identity_ids.0"'),
        ("user_identity_ids[0]=x", 'Expected array, received object for "user_identity_ids"'),
        ("search.x=a", 'Expected string, received object for "search"'),
    ],
)
def test_what_a_parameter_of_a_query_string_cannot_be_is_refused(service: Service, query: str, message: str) -> None:
    assert error(ask(service, "GET", f"{LIST}?{query}")) == (400, "invalid_input", message)


def test_a_deletion_names_one_thing(service: Service) -> None:
    identity = service.workspace.user_identity()

    response = ask(
        service, "DELETE", f"/user_identities/delete?user_identity_id={identity}&user_identity_id={identity}"
    )

    assert error(response) == (400, "invalid_input", 'Expected string, received array for "user_identity_id"')


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"ends_at": "soon"}, 'Invalid datetime for "access_schedule.ends_at"'),
        ({"starts_at": None}, 'Expected string, received null for "access_schedule.starts_at"'),
        (
            {"ends_at": "2001-01-01T00:00:00Z"},
            'Must be in the future and after starts_at for "access_schedule.ends_at"',
        ),
        ("always", 'Expected object, received string for "access_schedule"'),
    ],
)
def test_a_problem_inside_an_object_is_named_by_its_path(service: Service, schedule: object, message: str) -> None:
    acs_user = {"full_name": "Jane Doe", "acs_system_id": service["ACS_SYSTEM_ID"], "access_schedule": schedule}

    response = service.post("/acs/users/create", acs_user)

    assert error(response) == (400, "invalid_input", message)
    assert response.json()["error"]["validation_errors"].keys() == {"_errors", "access_schedule"}
