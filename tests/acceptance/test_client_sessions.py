"""Client sessions and workspaces by the published SDKs, over HTTP, and at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.sdk import SEAM_1, UNKNOWN, Sdk, codes, installed, javascript, param, python

# By their own methods, newer majors choose the verbs themselves.
SDKS = {
    "seam-1": SEAM_1,
    "seam-1-verbs": Sdk(python(1), "verbs", tells_fields=False),
    "seam-3": Sdk(python(3)),
    "seam-3-post": Sdk(python(3), "post"),
    "seam-3-verbs": Sdk(python(3), "verbs"),
    "http-1": Sdk(javascript(1)),
    "http-1-verbs": Sdk(javascript(1), "verbs"),
    "http-2": Sdk(javascript(2)),
    "http-2-verbs": Sdk(javascript(2), "verbs"),
}
ROOT = "/client_sessions"


@pytest.fixture(params=[param(sdk, name) for name, sdk in SDKS.items()])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@pytest.fixture(params=[param(SDKS[name], name) for name in ("http-1", "http-2")])
def session_sdk(request: pytest.FixtureRequest) -> Sdk:
    """An SDK that takes client sessions."""
    return installed(request.param)


def seen(service: Service, session: dict[str, Any]) -> int:
    """Return the status of a request with a session's token."""
    return service.post("/user_identities/list", {}, token=session["token"]).status_code


def created(service: Service, **parameters: Any) -> dict[str, Any]:
    """Return a new session."""
    session: dict[str, Any] = service.post(f"{ROOT}/create", parameters).json()["client_session"]
    return session


# ------------------------------------------------------------------------------------------------------------ The SDKs


def test_an_sdk_creates_finds_and_lists_a_session(service: Service, sdk: Sdk) -> None:
    identity, key = service.workspace.user_identity(), str(uuid4())
    made, same, by_key, listed = sdk.call(
        service,
        (f"{ROOT}/create", {"user_identity_ids": [identity], "user_identifier_key": key}),
        (f"{ROOT}/get_or_create", {"user_identifier_key": key}),
        (f"{ROOT}/get", {"user_identifier_key": key}),
        (f"{ROOT}/list", {"user_identifier_key": key}),
    )

    assert made["result"]["user_identity_ids"] == [identity]
    assert same["result"]["token"] == made["result"]["token"]
    assert by_key["result"]["token"] == made["result"]["token"]
    assert [session["token"] for session in listed["result"]] == [made["result"]["token"]]


def test_an_sdk_grants_access_revokes_and_deletes(service: Service, sdk: Sdk) -> None:
    identity = service.workspace.user_identity()
    session = created(service)
    named = {"client_session_id": session["client_session_id"]}

    outcomes = sdk.call(
        service,
        (f"{ROOT}/grant_access", {**named, "user_identity_ids": [identity]}),
        (f"{ROOT}/get", named),
        (f"{ROOT}/revoke", named),
        (f"{ROOT}/get", named),
        (f"{ROOT}/delete", named),
        (f"{ROOT}/delete", named),
    )

    assert codes(outcomes) == [None, None, None, "client_session_not_found", None, "client_session_not_found"]
    assert outcomes[1]["result"]["user_identity_ids"] == [identity]


def test_an_sdk_tells_what_is_wrong(service: Service, sdk: Sdk) -> None:
    outcomes = sdk.call(
        service,
        (f"{ROOT}/create", {"user_identity_ids": ["x"]}),
        (f"{ROOT}/create", {"user_identity_ids": [UNKNOWN]}),
        (f"{ROOT}/create", {"connected_account_ids": [UNKNOWN]}),
        (f"{ROOT}/create", {"connect_webview_ids": [UNKNOWN]}),
        (f"{ROOT}/create", {"expires_at": "2020-01-01T00:00:00Z"}),
        (f"{ROOT}/get_or_create", {"user_identity_ids": [UNKNOWN]}),
        (f"{ROOT}/get", {"client_session_id": UNKNOWN}),
        (f"{ROOT}/get", {}),
        (f"{ROOT}/grant_access", {"client_session_id": UNKNOWN}),
        (f"{ROOT}/revoke", {"client_session_id": UNKNOWN}),
        (f"{ROOT}/revoke", {"client_session_id": "x"}),
        (f"{ROOT}/delete", {"client_session_id": UNKNOWN}),
    )

    assert codes(outcomes) == [
        "invalid_input",
        "user_identity_not_found",
        "connected_account_not_found",
        "connect_webview_not_found",
        "invalid_input",
        "user_identity_not_found",
        "client_session_not_found",
        "invalid_input",
        "client_session_not_found",
        "client_session_not_found",
        "invalid_input",
        "client_session_not_found",
    ]


def test_an_sdk_gets_its_workspace(service: Service, sdk: Sdk) -> None:
    got, listed = sdk.call(service, ("/workspaces/get", None), ("/workspaces/list", None))

    assert (got["result"]["workspace_id"], got["result"]["is_sandbox"]) == (service["SEAM_WORKSPACE_ID"], True)
    assert [workspace["name"] for workspace in listed["result"]] == ["Demo"]


def test_an_app_gets_itself_and_its_workspace_and_no_more(service: Service, session_sdk: Sdk) -> None:
    identity = service.workspace.user_identity()
    session = created(service, user_identity_id=identity)

    itself, workspace, *others = session_sdk.call(
        service,
        (f"{ROOT}/get", {}),
        ("/workspaces/get", {}),
        (f"{ROOT}/get", {"client_session_id": service["CLIENT_SESSION_ID"]}),
        (f"{ROOT}/list", {}),
        (f"{ROOT}/create", {}),
        (f"{ROOT}/grant_access", {"client_session_id": session["client_session_id"]}),
        client_session_token=session["token"],
    )

    assert itself["result"] == session
    assert workspace["result"]["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert codes(others) == ["client_session_not_found", "unauthorized", "unauthorized", "unauthorized"]


# ------------------------------------------------------------------------------------------------------------ Over HTTP


def test_a_person_lists_workspaces_without_naming_one(service: Service) -> None:
    token = service["SEAM_PERSONAL_ACCESS_TOKEN"]

    listed = service.post("/workspaces/list", {}, token=token).json()["workspaces"]
    unnamed = service.post("/workspaces/get", {}, token=token)
    named = service.post(
        "/workspaces/get", {}, token=token, headers={"seam-workspace": service["OTHER_SEAM_WORKSPACE_ID"]}
    )

    assert [workspace["name"] for workspace in listed] == ["Demo", "Other demo"]
    assert (unnamed.status_code, named.json()["workspace"]["name"]) == (401, "Other demo")


def test_an_app_lists_the_one_workspace_of_its_session(service: Service) -> None:
    token = service["SEAM_CLIENT_SESSION_TOKEN"]

    answer = service.request("GET", "/workspaces/list", headers={"Authorization": f"Bearer {token}"})

    assert [workspace["name"] for workspace in answer.json()["workspaces"]] == ["Demo"]


def test_access_is_granted_to_a_session_that_is_named(service: Service) -> None:
    error = service.post(f"{ROOT}/grant_access", {"user_identity_id": UNKNOWN}).json()["error"]

    assert (error["type"], error["message"]) == ("invalid_input", "Specify client_session_id or user_identifier_key")
    assert error["validation_errors"] == {"_errors": ["Specify client_session_id or user_identifier_key"]}


@pytest.mark.gateway
def test_a_session_is_refused_on_other_routes_also_right_after_it_was_let_in(service: Service) -> None:
    session = created(service, user_identity_id=service.workspace.user_identity())
    routes = ["/client_sessions/list", "/user_identities/get", "/webhooks/list", "/acs/systems/get"]

    statuses = [
        (seen(service, session), service.post(route, {}, token=session["token"]).status_code) for route in routes
    ]

    assert statuses == [(200, 401)] * len(routes)


def test_a_session_sees_its_own_identities_only(service: Service) -> None:
    own, granted, others = (service.workspace.user_identity() for _ in range(3))
    session = created(service, user_identity_id=own)
    named = {"client_session_id": session["client_session_id"]}
    service.post(f"{ROOT}/grant_access", {**named, "user_identity_id": granted})

    found = service.post("/user_identities/list", {"user_identity_ids": [own, granted, others]}, token=session["token"])

    assert {one["user_identity_id"] for one in found.json()["user_identities"]} == {own, granted}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("without_user_identifier_key=true", 200),
        ("without_user_identifier_key=false", 200),
        ("without_user_identifier_key=x", 400),
        ("without_user_identifier_key=", 400),
        ("user_identity_id=", 200),
        ("connect_webview_id=", 200),
        ("client_session_id=", 400),
        ("user_identifier_key=a&user_identifier_key=b", 400),
        ("limit=1&_strict=true", 200),
    ],
)
def test_a_list_takes_its_filters_from_a_query_string(service: Service, query: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {service['SEAM_API_KEY']}"}

    assert service.request("GET", f"{ROOT}/list?{query}", headers=headers).status_code == status


# -------------------------------------------------------------------------------------------------------------- At once


@pytest.mark.parametrize("has_key", [False, True], ids=["user identity", "key"])
def test_a_hundred_calls_fifty_at_once_get_one_session(service: Service, *, has_key: bool) -> None:
    identity = service.workspace.user_identity()
    body = {"user_identity_id": identity} | ({"user_identifier_key": identity} if has_key else {})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: service.post(f"{ROOT}/get_or_create", body), range(100)))

    sessions = [answer.json()["client_session"] for answer in answers]
    assert {answer.status_code for answer in answers} == {200}
    assert len({session["token"] for session in sessions}) == 1
    listed = service.post(f"{ROOT}/list", {"user_identity_id": identity}).json()["client_sessions"]
    assert [session["token"] for session in listed] == [sessions[0]["token"]]
    assert seen(service, sessions[0]) == 200


def test_grants_at_once_are_all_kept(service: Service) -> None:
    session = created(service)
    identities = [service.workspace.user_identity() for _ in range(6)]
    named = {"client_session_id": session["client_session_id"]}

    with ThreadPoolExecutor(len(identities)) as pool:
        granted = list(
            pool.map(lambda one: service.post(f"{ROOT}/grant_access", {**named, "user_identity_id": one}), identities)
        )

    assert {answer.status_code for answer in granted} == {200}
    found = service.post(f"{ROOT}/get", named).json()["client_session"]
    assert set(found["user_identity_ids"]) == set(identities)


def test_a_revocation_among_grants_wins(service: Service) -> None:
    session = created(service)
    identities = [service.workspace.user_identity() for _ in range(5)]
    named = {"client_session_id": session["client_session_id"]}
    calls = [*((f"{ROOT}/grant_access", {**named, "user_identity_id": one}) for one in identities)]
    calls.insert(2, (f"{ROOT}/revoke", named))

    with ThreadPoolExecutor(len(calls)) as pool:
        statuses = list(pool.map(lambda call: service.post(*call).status_code, calls))

    assert statuses[2] == 200
    assert set(statuses) <= {200, 404}
    assert service.post(f"{ROOT}/get", named).status_code == 404
