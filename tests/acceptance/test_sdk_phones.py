"""The published SDKs make the calls that follow a launch in the guides: credentials, phones, and their end."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.sdk import (
    AUTOMATIONS,
    SEAM_1,
    UNKNOWN,
    Outcome,
    Sdk,
    assert_unauthorized,
    codes,
    installed,
    javascript,
    param,
    python,
)

MOBILE_KEY = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}
CREATE_PHONE = "/phones/simulate/create_sandbox_phone"
SESSION = "/seam/mobile_sdk/v1/phone_sessions/get_or_create"
APP = {"custom_sdk_installation_id": "app", "phone_os": "ios", "phone_device_metadata": {"model": "iPhone 16"}}
END = "2099-12-31T18:00:00.000Z"

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
    "http-2-post": Sdk(javascript(2), "post"),
    "http-2-verbs": Sdk(javascript(2), "verbs"),
}
WAYS = [param(sdk, name) for name, sdk in SDKS.items()]


@pytest.fixture(scope="module", params=WAYS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@pytest.fixture(params=[way for way in WAYS if way.id.startswith("http")])
def session_sdk(request: pytest.FixtureRequest) -> Sdk:
    """An SDK that takes client sessions."""
    return installed(request.param)


def results(outcomes: list[Outcome]) -> list[Any]:
    """Return the results of calls that all have one."""
    assert codes(outcomes) == [None] * len(outcomes)
    return [outcome["result"] for outcome in outcomes]


# ------------------------------------------------------------------------------------------------------------ The guide


@dataclass(frozen=True)
class Story:
    """What an SDK answered on the way from a launch to a person who is gone."""

    identity: dict[str, Any]
    acs_user: dict[str, Any]
    credential: dict[str, Any]
    phone: dict[str, Any]
    phones: list[dict[str, Any]]
    got_phone: dict[str, Any]
    credentials: list[dict[str, Any]]
    updated: dict[str, Any]
    got_credential: dict[str, Any]
    ended: list[Outcome]
    left: list[Any]
    missing: list[Outcome]


@pytest.fixture(scope="module")
def story(service: Service, sdk: Sdk) -> Story:
    manager = service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
    (identity,) = results(sdk.call(service, ("/user_identities/create", {"full_name": "Jane Doe"})))
    person = {"user_identity_id": identity["user_identity_id"]}
    acs_user, _ = results(
        sdk.call(
            service,
            ("/acs/users/create", {"full_name": "Jane Doe", "acs_system_id": service["ACS_SYSTEM_ID"]} | person),
            (f"{AUTOMATIONS}/launch", person | {"credential_manager_acs_system_id": manager}),
        )
    )
    credential, phone = results(
        sdk.call(
            service,
            ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": acs_user["acs_user_id"]}),
            (CREATE_PHONE, {**person, "phone_metadata": {"operating_system": "android", "device_model": "Pixel 10"}}),
        )
    )
    device = {"device_id": phone["device_id"]}
    itself = {"acs_credential_id": credential["acs_credential_id"]}
    phones, got_phone, credentials, updated, got_credential = results(
        sdk.call(
            service,
            ("/phones/list", {"owner_user_identity_id": identity["user_identity_id"]}),
            ("/phones/get", device),
            ("/acs/credentials/list", {"acs_user_id": acs_user["acs_user_id"], "is_multi_phone_sync_credential": True}),
            ("/acs/credentials/update", {**itself, "ends_at": END}),
            ("/acs/credentials/get", itself),
        )
    )
    ended = sdk.call(service, ("/acs/credentials/delete", itself), ("/phones/deactivate", device))
    left = results(
        sdk.call(
            service,
            ("/acs/credentials/list", person),
            ("/phones/list", {"owner_user_identity_id": identity["user_identity_id"]}),
        )
    )
    missing = sdk.call(
        service,
        ("/acs/credentials/get", itself),
        ("/acs/credentials/update", {**itself, "ends_at": END}),
        ("/acs/credentials/delete", itself),
        ("/phones/get", device),
        ("/phones/deactivate", device),
    )
    return Story(
        identity,
        acs_user,
        credential,
        phone,
        phones,
        got_phone,
        credentials,
        updated,
        got_credential,
        ended,
        left,
        missing,
    )


def test_a_credential_stands_for_the_persons_access(story: Story) -> None:
    assert story.credential["acs_user_id"] == story.acs_user["acs_user_id"]
    assert story.credential["user_identity_id"] == story.identity["user_identity_id"]
    assert story.credential["is_multi_phone_sync_credential"] is True
    assert [warning["warning_code"] for warning in story.credential["warnings"]] == ["waiting_to_be_issued"]


def test_a_credential_is_listed_for_its_acs_user(story: Story) -> None:
    assert [one["acs_credential_id"] for one in story.credentials] == [story.credential["acs_credential_id"]]


def test_an_updated_credential_ends_when_the_update_says(story: Story) -> None:
    assert story.got_credential["ends_at"] == END


def test_a_simulated_phone_is_its_owners(story: Story) -> None:
    assert [one["device_id"] for one in story.phones] == [story.phone["device_id"]]
    assert story.got_phone["device_type"] == "android_phone"
    assert story.got_phone["display_name"] == "Pixel 10"


def test_what_is_ended_is_gone(story: Story) -> None:
    assert codes(story.ended) == [None, None]
    assert story.left == [[], []]
    assert codes(story.missing) == [*["acs_credential_not_found"] * 3, *["phone_not_found"] * 2]


# ------------------------------------------------------------------------------------------------------------- Refusals


def test_what_is_refused_says_why(service: Service, sdk: Sdk) -> None:
    janes, foreign = service["ACS_USER_ID"], service["OTHER_WORKSPACE_ACS_USER_ID"]
    outcomes = sdk.call(
        service,
        ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": janes, "access_method": "code"}),
        ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": janes, "is_multi_phone_sync_credential": False}),
        ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": foreign}),
        ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": service["CREDENTIAL_MANAGER_ACS_USER_ID"]}),
        ("/acs/credentials/get", {"acs_credential_id": "no uuid"}),
        ("/acs/credentials/list", {"acs_system_id": "no uuid"}),
        ("/phones/list", {"owner_user_identity_id": UNKNOWN}),
        ("/phones/get", {"device_id": UNKNOWN}),
        ("/phones/deactivate", {"device_id": UNKNOWN}),
        (CREATE_PHONE, {"user_identity_id": service["OTHER_WORKSPACE_USER_IDENTITY_ID"]}),
    )

    assert codes(outcomes) == [
        "invalid_input",
        "invalid_input",
        "acs_user_not_found",
        "acs_user_has_no_user_identity",
        "invalid_input",
        "invalid_input",
        "user_identity_not_found",
        "phone_not_found",
        "phone_not_found",
        "user_identity_not_found",
    ]


def test_a_server_gets_no_phone_session(service: Service, sdk: Sdk) -> None:
    assert_unauthorized(sdk.call(service, (SESSION, APP)))


# -------------------------------------------------------------------------------------------------------------- The app


def test_an_app_registers_its_phone_and_deactivates_it(service: Service, session_sdk: Sdk) -> None:
    janes = service["USER_IDENTITY_ID"]
    app = {**APP, "custom_sdk_installation_id": uuid4().hex}
    token = {"client_session_token": service["SEAM_CLIENT_SESSION_TOKEN"]}
    before = {phone["device_id"] for phone in phones_of(service, janes)}

    first, second, credentials = results(
        session_sdk.call(service, (SESSION, app), (SESSION, app), ("/acs/credentials/list", {}), **token)
    )
    (device_id,) = {phone["device_id"] for phone in phones_of(service, janes)} - before
    deactivated, again = session_sdk.call(
        service,
        ("/phones/deactivate", {"device_id": device_id}),
        ("/phones/deactivate", {"device_id": service["DEVICE_ID"]}),
        **token,
    )

    assert first["user_identity"]["user_identity_id"] == janes
    assert (first["is_sandbox_workspace"], first["workspace_id"]) == (True, service["SEAM_WORKSPACE_ID"])
    assert second == first
    assert all(credential["user_identity_id"] == janes for credential in credentials)
    assert codes([deactivated, again]) == [None, "phone_not_found"]


def test_an_app_sees_nothing_else(service: Service, session_sdk: Sdk) -> None:
    outcomes = session_sdk.call(
        service,
        ("/acs/credentials/list", {}),
        ("/acs/credentials/get", {"acs_credential_id": service["ACS_CREDENTIAL_ID"]}),
        ("/acs/credentials/create", {**MOBILE_KEY, "acs_user_id": service["ACS_USER_ID"]}),
        ("/acs/credentials/delete", {"acs_credential_id": service["ACS_CREDENTIAL_ID"]}),
        ("/phones/list", {}),
        ("/phones/get", {"device_id": service["DEVICE_ID"]}),
        (CREATE_PHONE, {"user_identity_id": service["USER_IDENTITY_ID"]}),
        client_session_token=service["SEAM_CLIENT_SESSION_TOKEN"],
    )

    assert codes(outcomes[:1]) == [None]
    assert_unauthorized(outcomes[1:])


def phones_of(service: Service, user_identity_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.post("/phones/list", {"owner_user_identity_id": user_identity_id}).json()[
        "phones"
    ]
    return found


def test_a_personal_access_token_gets_no_phone_session(service: Service) -> None:
    headers = {"seam-workspace": service["SEAM_WORKSPACE_ID"]}

    response = service.post(SESSION, APP, token=service["SEAM_PERSONAL_ACCESS_TOKEN"], headers=headers)

    assert response.status_code == 401
    assert response.json()["error"]["message"] == "Only a client session can be used for this route"


def test_a_route_for_the_app_is_refused_to_a_server_that_was_just_let_in(service: Service) -> None:
    allowed = service.post("/phones/list", {})
    refused = service.post(SESSION, APP)

    assert (allowed.status_code, refused.status_code) == (200, 401)
