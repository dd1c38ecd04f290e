"""The published SDKs' first calls, without arguments: what they then send has no body, and any content type or none."""

import json

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.sdk import AUTOMATIONS, SEAM_1, Sdk, codes, installed, javascript, param, python
from tests.fixtures import PROJECT

BY_METHODS = {"seam-1": SEAM_1, "seam-3": Sdk(python(3)), "http-1": Sdk(javascript(1)), "http-2": Sdk(javascript(2))}
BY_POST = {
    "seam-1-post": Sdk(python(1), "post", tells_fields=False),
    "seam-3-post": Sdk(python(3), "post"),
    "http-1-post": Sdk(javascript(1), "post"),
    "http-2-post": Sdk(javascript(2), "post"),
}
BY_VERBS = {
    "seam-1-verbs": Sdk(python(1), "verbs", tells_fields=False),
    "seam-3-verbs": Sdk(python(3), "verbs"),
    "http-1-verbs": Sdk(javascript(1), "verbs"),
    "http-2-verbs": Sdk(javascript(2), "verbs"),
}
ANY_WAY = [param(sdk, name) for name, sdk in (BY_METHODS | BY_POST | BY_VERBS).items()]
BY_CLIENT = [param(sdk, name) for name, sdk in (BY_POST | BY_VERBS).items()]

# That need no parameters.
LISTS = [
    "/user_identities/list",
    "/acs/systems/list",
    "/acs/users/list",
    "/webhooks/list",
    "/acs/credentials/list",
    "/phones/list",
]
OTHERS = [
    *("/client_sessions/create", "/client_sessions/get_or_create", "/client_sessions/list"),
    *("/workspaces/get", "/workspaces/list"),
]
CREATE = "/user_identities/create"
ROUTES = sorted(json.loads((PROJECT / "openapi.json").read_text())["paths"])
FOR_CLIENT_SESSIONS_ONLY = "/seam/mobile_sdk/v1/phone_sessions/get_or_create"
IN_NEED = [route for route in ROUTES if route not in {*LISTS, *OTHERS, CREATE, FOR_CLIENT_SESSIONS_ONLY}]


@pytest.mark.parametrize("way", ANY_WAY)
def test_a_list_is_answered(service: Service, way: Sdk) -> None:
    identities, systems, acs_users, webhooks, credentials, phones = installed(way).call(
        service, *((route, None) for route in LISTS)
    )

    assert service["ACS_SYSTEM_ID"] in [system["acs_system_id"] for system in systems["result"]]
    assert service["USER_IDENTITY_ID"] in [identity["user_identity_id"] for identity in identities["result"]]
    assert isinstance(acs_users["result"], list)
    assert service["ACS_CREDENTIAL_ID"] in [credential["acs_credential_id"] for credential in credentials["result"]]
    assert service["DEVICE_ID"] in [phone["device_id"] for phone in phones["result"]]
    assert service["WEBHOOK_ID"] in [webhook["webhook_id"] for webhook in webhooks["result"]]


@pytest.mark.parametrize("way", ANY_WAY)
def test_client_sessions_and_workspaces_need_no_parameters(service: Service, way: Sdk) -> None:
    outcomes = installed(way).call(service, *((route, None) for route in OTHERS))

    assert codes(outcomes) == [None] * len(OTHERS)


@pytest.mark.parametrize("way", ANY_WAY)
def test_a_user_identity_is_created(service: Service, way: Sdk) -> None:
    (created,) = installed(way).call(service, (CREATE, None))

    assert created["result"]["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert created["result"]["display_name"] == created["result"]["user_identity_id"]


@pytest.mark.parametrize("way", BY_CLIENT)
def test_what_is_in_need_of_parameters_says_which(service: Service, way: Sdk) -> None:
    outcomes = installed(way).call(service, *((route, None) for route in IN_NEED))

    assert codes(outcomes) == ["invalid_input"] * len(IN_NEED)


@pytest.mark.parametrize("way", BY_CLIENT)
def test_a_launch_says_what_it_requires(service: Service, way: Sdk) -> None:
    (launched,) = installed(way).call(service, (f"{AUTOMATIONS}/launch", None))

    assert launched["error"]["message"] == (
        "2 Input Errors: user_identity_id is required, credential_manager_acs_system_id is required"
    )
