"""What every route answers with, held against the schemas that Seam publishes: nothing missing, nothing more.

The schemas are ``published_schemas.json``, cut from Seam's document by ``published.py``.
"""

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from enrollment.callers import TokenKind
from enrollment.use_cases.tokens import NewToken, create_token
from tests.acceptance.conftest import Service
from tests.acceptance.published import CUT, ORIGINAL, our_cut
from tests.fixtures import PROJECT, Workspace

type Json = dict[str, Any]
type Build = Callable[[Service], Json]

PUBLISHED = json.loads(CUT.read_text())
# Ours: these lists come in pages too, like the others.
PAGED_HERE = {
    "/acs/credential_pools/list",
    "/acs/systems/list",
    "/client_sessions/list",
    "/events/list",
    "/phones/list",
}
# Ours: types of events, each beside the published one that it is like, and a property of all of these.
EVENTS_HERE = {
    "enrollment_automation.launched": "enrollment_automation.deleted",
    "phone.registered": "phone.deactivated",
}
# What samples of Seam's answers have, and the schema has not.
SAMPLED = {
    "enrollment_automation": {
        "acs_credential_provisioning_automation_id": {"type": "string", "format": "uuid"},
        "is_running": {"type": "boolean"},
    }
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
OPTIONS_OF_AN_ACS_SYSTEM = {
    "external_type": "salto_space_system",
    "external_type_display_name": "Salto Space system",
    "image_url": "https://example.com/garage.png",
    "image_alt_text": "A garage",
    "time_zone": "America/Los_Angeles",
}


def profile() -> dict[str, str]:
    """Return everything that a user identity can be created with; each is another's."""
    unique = uuid.uuid4()
    name = unique.hex
    return {
        "user_identity_key": name,
        "email_address": f"{name}@example.com",
        "phone_number": f"+1{unique.int % 10**13}",
        "full_name": "Jane Doe",
    }


def call(service: Service, method: str, path: str, parameters: Json) -> Json:
    """Return what a route answers with when all is well; to a client session, if it is for those only."""
    how: Json = {"params": parameters} if method in {"GET", "DELETE"} else {"json": parameters}
    is_for_servers = {"api_key": []} in DOCUMENTED[path]["post"]["security"]
    token = service["SEAM_API_KEY" if is_for_servers else "SEAM_CLIENT_SESSION_TOKEN"]
    authorization = {"Authorization": f"Bearer {token}"}
    response = service.request(method, path, headers=authorization, **how)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def identity_with_everything(service: Service) -> str:
    """Create a user identity with a profile and an ACS user, and return its id."""
    parameters = profile() | {"acs_system_ids": [service.workspace.acs_system(**OPTIONS_OF_AN_ACS_SYSTEM)]}
    created: str = call(service, "POST", "/user_identities/create", parameters)["user_identity"]["user_identity_id"]
    return created


def identity_being_deleted(service: Service) -> str:
    return service.workspace.user_identity(being_deleted_at="2026-01-09T05:45:33.068Z")


def acs_user(service: Service, **more: Any) -> str:
    """Create an ACS user in a system of its own, and return its id."""
    parameters = {"full_name": "", "acs_system_id": service.workspace.acs_system(), **more}
    created: str = call(service, "POST", "/acs/users/create", parameters)["acs_user"]["acs_user_id"]
    return created


def acs_user_with_everything(service: Service) -> str:
    addresses = {name: value for name, value in profile().items() if name != "user_identity_key"}
    schedule = {"starts_at": "2026-01-09T08:00:00.000Z", "ends_at": "2099-12-31T18:00:00.000Z"}
    identity = identity_with_everything(service)
    return acs_user(service, **addresses, access_schedule=schedule, user_identity_id=identity)


def linked(service: Service) -> Json:
    """Return the ids of a user identity and of its ACS user."""
    identity = service.workspace.user_identity()
    return {"user_identity_id": identity, "acs_user_id": acs_user(service, user_identity_id=identity)}


def automation(service: Service) -> Json:
    launched: str = service.launch(service.pair()).json()["enrollment_automation"]["enrollment_automation_id"]
    return {"enrollment_automation_id": launched}


def enrolled_identity(service: Service) -> Json:
    pair = service.pair()
    service.launch(pair).raise_for_status()
    return {"user_identity_id": pair["user_identity_id"]}


# What events tell, by what they are about.
ABOUT = {
    "enrollment_automation": ("enrollment_automation_id", "user_identity_id"),
    "acs_user": ("acs_user_id", "acs_system_id", "connected_account_id"),
    "acs_credential": ("acs_credential_id", "acs_system_id", "connected_account_id"),
    "phone": ("device_id", "user_identity_id"),
}


def event(service: Service, event_type: str) -> str:
    """Record an event, and return its id."""
    about = dict.fromkeys(ABOUT[event_type.partition(".")[0]], UNKNOWN)
    return service.workspace.event(event_type=event_type, **about)


def credential_request(service: Service, **more: Any) -> Json:
    """Return the parameters of a credential for an ACS user of its own."""
    system = service.workspace.acs_system(
        default_credential_manager_acs_system_id=service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
    )
    owner = acs_user(service, acs_system_id=system, user_identity_id=service.workspace.user_identity())
    return {"acs_user_id": owner, "access_method": "mobile_key", "is_multi_phone_sync_credential": True, **more}


def credential(service: Service, **more: Any) -> Json:
    parameters = credential_request(service, **more)
    created: str = call(service, "POST", "/acs/credentials/create", parameters)["acs_credential"]["acs_credential_id"]
    return {"acs_credential_id": created}


def phone(service: Service) -> Json:
    parameters = {"user_identity_id": service.workspace.user_identity()}
    created: str = call(service, "POST", "/phones/simulate/create_sandbox_phone", parameters)["phone"]["device_id"]
    return {"device_id": created}


SINCE = "2026-01-09T05:45:33.068Z"
APP = json.dumps({"invitation_code": "ABCD-EFGH", "services": [{"port": 443}]})
ISSUED = {"state": "active", "issued_at": SINCE, "synced_version": 1, "synced_at": SINCE}
FAILED = {"state": "failed", "state_since": SINCE, "reason": "rejected"}


def registered(service: Service, **registration: Any) -> tuple[str, str, str]:
    """Register a phone with a credential manager; return the ids of its person, of itself and of the manager."""
    workspace, identity = service.workspace, service.workspace.user_identity()
    names = (identity, workspace.phone(identity), workspace.credential_manager())
    workspace.registration(names, **registration)
    return names


def credential_of_phone(service: Service, names: tuple[str, str, str], **stored: Any) -> Json:
    """Give a registered phone a credential."""
    identity, _, manager = names
    owner = acs_user(service, acs_system_id=manager, user_identity_id=identity)
    acs_user_ids = {"acs_user_id": owner, "acs_system_id": manager}
    return {"acs_credential_id": service.workspace.credential_of_phone(names, acs_user_ids, **stored)}


def phone_with_errors(service: Service) -> Json:
    names = registered(service, **FAILED, unanswered_since=SINCE)
    service.workspace.fail(names, credential_of_phone(service, names, **FAILED)["acs_credential_id"])
    return {"device_id": names[1]}


def session_of_registered(service: Service) -> Json:
    """Return the parameters of a phone session whose phone is registered with two credential managers."""
    workspace, identity, installation = service.workspace, service["USER_IDENTITY_ID"], str(uuid.uuid4())
    device = workspace.phone(identity, custom_sdk_installation_id=installation)
    for registration, stored in (({"state": "invited", "app": APP}, FAILED), ({"state": "active"}, ISSUED)):
        names = (identity, device, workspace.credential_manager())
        workspace.registration(names, **registration)
        credential_of_phone(service, names, parent_acs_credential_id=UNKNOWN, **stored)
    return {"custom_sdk_installation_id": installation, "phone_os": "ios"}


def disconnected_manager(service: Service) -> Json:
    manager = service.workspace.credential_manager()
    pause: Json = {"reason": "disconnected", "paused_at": SINCE, "paused_until": "2099-12-31T18:00:00.000Z", "times": 1}
    service.workspace.pause(manager, **pause)
    return {"acs_system_id": manager}


def session_of_enrolled(service: Service) -> Json:
    """Return the parameters of a phone session whose person has an automation."""
    pair = {
        "user_identity_id": service["USER_IDENTITY_ID"],
        "credential_manager_acs_system_id": service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    }
    service.launch(pair).raise_for_status()
    return {"custom_sdk_installation_id": "app", "phone_os": "ios"}


def system_with_everything(service: Service) -> Json:
    manager = service.workspace.credential_manager()
    options = {**OPTIONS_OF_AN_ACS_SYSTEM, "default_credential_manager_acs_system_id": manager}
    return {"acs_system_id": service.workspace.acs_system(**options)}


def session(service: Service, **parameters: Any) -> str:
    """Create a client session, and return its id."""
    created: str = call(service, "POST", "/client_sessions/create", parameters)["client_session"]["client_session_id"]
    return created


def session_with_everything(service: Service) -> Json:
    return {
        "user_identity_id": service.workspace.user_identity(),
        "user_identifier_key": str(uuid.uuid4()),
        "expires_at": "2099-12-31T18:00:00+01:00",
    }


def pools(service: Service, count: int) -> Json:
    manager = service.workspace.credential_manager()
    for _ in range(count):
        service.workspace.acs_credential_pool(manager)
    return {"acs_system_id": manager}


DOCUMENTED: Json = json.loads((PROJECT / "openapi.json").read_text())["paths"]

# What is asked of a route in which state of things, by path.
CASES: Mapping[str, Mapping[str, Build]] = {
    "/user_identities/create": {
        "nothing": lambda _: {},
        "everything": lambda s: profile() | {"acs_system_ids": [s["ACS_SYSTEM_ID"], s.workspace.acs_system()]},
    },
    "/user_identities/get": {
        "nothing": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "everything": lambda s: {"user_identity_id": identity_with_everything(s)},
        "by key": lambda _: {"user_identity_key": "jane.doe"},
    },
    "/user_identities/list": {
        "empty": lambda _: {"user_identity_ids": [UNKNOWN]},
        "first page": lambda _: {"limit": 1},
        "one of each": lambda s: {
            "user_identity_ids": [
                s.workspace.user_identity(),
                identity_with_everything(s),
            ]
        },
    },
    "/user_identities/update": {"everything": lambda s: {"user_identity_id": s.workspace.user_identity()} | profile()},
    "/user_identities/delete": {
        "nothing": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "everything": lambda s: {"user_identity_id": identity_with_everything(s)},
        "being deleted": lambda s: {"user_identity_id": identity_being_deleted(s)},
    },
    "/user_identities/add_acs_user": {
        "identity": lambda s: {"user_identity_id": s.workspace.user_identity(), "acs_user_id": acs_user(s)},
        "new key": lambda s: {"user_identity_key": str(uuid.uuid4()), "acs_user_id": acs_user(s)},
    },
    "/user_identities/remove_acs_user": {"linked": linked},
    "/user_identities/list_acs_users": {
        "empty": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "linked": lambda s: {"user_identity_id": linked(s)["user_identity_id"]},
        "everything": lambda s: {"user_identity_id": identity_with_everything(s)},
    },
    "/user_identities/list_acs_systems": {
        "empty": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "without options": lambda s: {"user_identity_id": linked(s)["user_identity_id"]},
        "with options": lambda s: {"user_identity_id": identity_with_everything(s)},
    },
    "/user_identities/enrollment_automations/launch": {
        "alone": lambda s: s.pair(),
        "with an ACS user": lambda s: s.pair() | {"create_credential_manager_user": True},
    },
    "/user_identities/enrollment_automations/get": {"launched": automation},
    "/user_identities/enrollment_automations/list": {
        "empty": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "enrolled": enrolled_identity,
    },
    "/user_identities/enrollment_automations/delete": {"launched": automation},
    "/acs/systems/get": {
        "without options": lambda s: {"acs_system_id": s.workspace.acs_system()},
        "with options": system_with_everything,
        "disconnected": disconnected_manager,
    },
    "/acs/systems/list": {
        "empty": lambda _: {"search": UNKNOWN},
        "first page": lambda _: {"limit": 1},
        "all": lambda _: {},
    },
    "/acs/systems/list_compatible_credential_manager_acs_systems": {
        "named": system_with_everything,
        "not named": lambda s: {"acs_system_id": s.workspace.acs_system()},
    },
    "/acs/credential_pools/list": {
        "empty": lambda s: pools(s, 0),
        "first page": lambda s: pools(s, 2) | {"limit": 1},
        "all": lambda s: pools(s, 2),
    },
    "/acs/users/create": {
        "nothing": lambda s: {"full_name": "", "acs_system_id": s.workspace.acs_system()},
        "everything": lambda s: {
            "full_name": "Jane Doe",
            "acs_system_id": s.workspace.acs_system(),
            "email_address": "jane@example.com",
            "phone_number": "+15555550100",
            "user_identity_id": identity_with_everything(s),
            "access_schedule": {"ends_at": "2099-12-31T18:00:00+01:00"},
        },
    },
    "/acs/users/get": {
        "nothing": lambda s: {"acs_user_id": acs_user(s)},
        "everything": lambda s: {"acs_user_id": acs_user_with_everything(s)},
        "without end": lambda s: {"acs_user_id": acs_user(s, access_schedule={})},
        "identity with nothing": lambda s: {"acs_user_id": linked(s)["acs_user_id"]},
    },
    "/acs/users/list": {
        "empty": lambda _: {"search": UNKNOWN},
        "first page": lambda s: {"acs_system_id": s["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"], "limit": 1},
        "all": lambda _: {},
    },
    "/events/get": {
        "a launch": lambda s: {"event_id": s["EVENT_ID"]},
        **{
            event_type: lambda s, event_type=event_type: {"event_id": event(s, event_type)}  # type: ignore[misc]
            for event_type in (
                "enrollment_automation.deleted",
                "acs_credential.deleted",
                "acs_credential.invalidated",
                "acs_credential.issued",
                "acs_credential.reissued",
                "acs_user.created",
                "acs_user.deleted",
                "phone.registered",
                "phone.deactivated",
            )
        },
    },
    "/events/list": {
        "empty": lambda _: {"since": "9999-01-01T00:00:00Z"},
        "first page": lambda s: {"since": "2020-01-01T00:00:00Z", "limit": 1, "event_ids": [s["EVENT_ID"]]},
        "all": lambda _: {"between": ["2020-01-01T00:00:00Z", "9999-01-01T00:00:00Z"]},
    },
    "/acs/credentials/create": {
        "nothing": credential_request,
        "everything": lambda s: credential_request(
            s,
            starts_at="2026-01-09T08:00:00.000Z",
            ends_at="2099-12-31T18:00:00.000Z",
            allowed_acs_entrance_ids=[UNKNOWN],
            visionline_metadata={"card_function_type": "staff", "joiner_acs_credential_ids": [UNKNOWN]},
        ),
    },
    "/acs/credentials/get": {
        "without end": credential,
        "with an end": lambda s: credential(s, ends_at="2099-12-31T18:00:00.000Z"),
        "a phone's": lambda s: credential_of_phone(
            s, registered(s), parent_acs_credential_id=UNKNOWN, card_number="0042", **ISSUED
        ),
        "from a pool": lambda s: credential_of_phone(
            s, registered(s), acs_credential_pool_id=UNKNOWN, manager_ends_at=SINCE, **ISSUED
        ),
        "failed": lambda s: credential_of_phone(s, registered(s), **FAILED),
        "invalidated": lambda s: credential_of_phone(s, registered(s), state="gone", state_since=SINCE),
        "being deleted": lambda s: credential_of_phone(s, registered(s), being_deleted_at=SINCE),
    },
    "/acs/credentials/list": {
        "empty": lambda _: {"search": UNKNOWN},
        "first page": lambda s: credential(s) and {"limit": 1},
        "all": lambda _: {},
    },
    "/acs/credentials/update": {
        "an end": lambda s: credential(s) | {"ends_at": "2099-12-31T18:00:00.000Z"},
        "nothing": credential,
    },
    "/acs/credentials/delete": {"a credential": credential},
    "/phones/get": {
        "a phone": phone,
        "active": lambda s: {"device_id": registered(s, state="active", endpoint_id="7")[1]},
        "with errors": phone_with_errors,
    },
    "/phones/list": {
        "empty": lambda s: {"owner_user_identity_id": s.workspace.user_identity()},
        "first page": lambda s: phone(s) and {"limit": 1},
        "all": lambda _: {},
    },
    "/phones/deactivate": {"a phone": phone},
    "/phones/simulate/create_sandbox_phone": {
        "by default": lambda s: {"user_identity_id": s.workspace.user_identity()},
        "an iPhone": lambda s: {
            "user_identity_id": s.workspace.user_identity(),
            "custom_sdk_installation_id": "app",
            "phone_metadata": {"operating_system": "ios"},
        },
    },
    "/seam/mobile_sdk/v1/phone_sessions/get_or_create": {
        "alone": lambda _: {"custom_sdk_installation_id": "app", "phone_os": "android", "phone_device_metadata": {}},
        "enrolled": session_of_enrolled,
        "registered": session_of_registered,
    },
    "/client_sessions/create": {"nothing": lambda _: {}, "everything": session_with_everything},
    "/client_sessions/get_or_create": {
        "nothing": lambda _: {},
        "everything": session_with_everything,
        "existing": lambda s: {"user_identity_id": s["USER_IDENTITY_ID"]},
    },
    "/client_sessions/get": {
        "nothing": lambda s: {"client_session_id": session(s)},
        "everything": lambda s: {"client_session_id": session(s, **session_with_everything(s))},
        "two user identities": lambda s: {
            "client_session_id": session(s, user_identity_ids=[s.workspace.user_identity() for _ in range(2)])
        },
    },
    "/client_sessions/list": {
        "empty": lambda _: {"user_identity_id": UNKNOWN},
        "first page": lambda s: {"limit": 1, "client_session_id": session(s)},
        "all": lambda _: {},
    },
    "/client_sessions/grant_access": {
        "nothing": lambda s: {"client_session_id": session(s)},
        "a user identity": lambda s: {
            "client_session_id": session(s),
            "user_identity_id": s.workspace.user_identity(),
        },
    },
    "/client_sessions/revoke": {"a session": lambda s: {"client_session_id": session(s)}},
    "/client_sessions/delete": {"a session": lambda s: {"client_session_id": session(s)}},
    "/workspaces/get": {"the demo": lambda _: {}},
    "/workspaces/list": {"the demo": lambda _: {}},
    "/acs/users/delete": {
        "unlinked": lambda s: {"acs_user_id": acs_user(s)},
        "linked": lambda s: {"acs_user_id": linked(s)["acs_user_id"]},
    },
}


def strict(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema, under which an object has no property that it does not name."""
    if isinstance(schema, list):
        return [strict(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if schema.pop("nullable", False) is True:
        schema["type"] = [schema["type"], "null"]
    if schema.get("type") in ("object", ["object", "null"]):
        schema.setdefault("additionalProperties", False)  # metadata may have any properties, and says so
    return schema


def add_our_events(published: list[Json]) -> None:
    by_type = {schema["properties"]["event_type"]["enum"][0]: schema for schema in published}
    for ours, like in EVENTS_HERE.items():
        by_type[like]["properties"]["user_identity_id"] = {"type": "string", "format": "uuid"}
        copied = copy.deepcopy(by_type[like])
        copied["properties"]["event_type"]["enum"] = [ours]
        published.append(copied)


def validator(path: str) -> Draft202012Validator:
    schema, components = strict(PUBLISHED["answers"][path]), strict(PUBLISHED["components"])
    for name, properties in SAMPLED.items():
        components["schemas"][name]["properties"] |= properties
        components["schemas"][name]["required"] += properties
    if path in PAGED_HERE:
        schema["properties"]["pagination"] = {"$ref": "#/components/schemas/pagination"}
        schema["required"].append("pagination")
    if "event" in components["schemas"]:
        add_our_events(components["schemas"]["event"]["oneOf"])
    document = schema | {"components": components}
    return Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_documented_answer_is_as_published(path: str) -> None:
    examples = DOCUMENTED[path]["post"]["responses"]["200"]["content"]["application/json"]["examples"]

    validator(path).validate(examples["ok"]["value"])


@pytest.mark.parametrize(
    ("path", "method", "state"),
    [
        (path, verb.upper(), state)
        for path, operations in DOCUMENTED.items()
        for verb in operations
        for state in CASES.get(path, {})
    ],
)
def test_an_answer_is_as_published(service: Service, path: str, method: str, state: str) -> None:
    parameters = CASES[path][state](service)

    answer = call(service, method, path, parameters)

    validator(path).validate(answer)
    assert answer["ok"] is True


def test_a_credential_manager_without_a_connector_is_as_published(service: Service) -> None:
    workspace = Workspace(service.workspace.table, str(uuid.uuid4()))  # no sandbox, as those of the demo are
    key = create_token(workspace.table, NewToken(TokenKind.API_KEY, [workspace.workspace_id]))
    parameters = {"acs_system_id": workspace.credential_manager()}

    answer = service.post("/acs/systems/get", parameters, token=key).json()

    validator("/acs/systems/get").validate(answer)
    assert [warning["warning_code"] for warning in answer["acs_system"]["warnings"]] == ["setup_required"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("user_identity_id", "no uuid"),
        ("created_at", "2026-01-09 05:45"),
        ("acs_user_ids", None),
        ("display_name", ""),
        ("email_address", "no address"),
        ("of_ours", "x"),
    ],
)
def test_what_is_not_as_published_is_found(service: Service, name: str, wrong: object) -> None:
    answer = call(service, "GET", "/user_identities/get", {"user_identity_key": "jane.doe"})

    with pytest.raises(ValidationError):
        validator("/user_identities/get").validate(
            {**answer, "user_identity": {**answer["user_identity"], name: wrong}}
        )


@pytest.mark.parametrize("path", ["/user_identities/get", "/acs/users/get", "/acs/systems/get"])
def test_a_missing_property_is_found(path: str) -> None:
    (resource,) = {name for name in PUBLISHED["answers"][path]["properties"] if name != "ok"}

    with pytest.raises(ValidationError, match="is a required property"):
        validator(path).validate({resource: {}, "ok": True})


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="Seam's document is not part of this repository")
def test_the_cut_is_up_to_date() -> None:
    assert json.loads(CUT.read_text()) == our_cut()
