"""The published SDKs walk through the published guide, and through what is around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.sdk import (
    AUTOMATIONS,
    SEAM_1,
    Outcome,
    Sdk,
    assert_unauthorized,
    codes,
    installed,
    javascript,
    param,
    python,
)

FIELDS = ["email_address", "phone_number", "acs_user_id", "limit", "user_identity_id"]

# By their own methods, newer majors choose the verbs themselves.
SDKS = {
    "seam-1": SEAM_1,
    "seam-3": Sdk(python(3)),
    "seam-3-post": Sdk(python(3), "post"),
    "http-1": Sdk(javascript(1)),
    "http-2": Sdk(javascript(2)),
    "http-2-post": Sdk(javascript(2), "post"),
}
WAYS = [param(sdk, name) for name, sdk in SDKS.items()]


@pytest.fixture(scope="module", params=WAYS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@pytest.fixture(params=[way for way in WAYS if not way.id.endswith("post")])
def major(request: pytest.FixtureRequest) -> Sdk:
    """An SDK by its own methods, for tests of what the ways share."""
    return installed(request.param)


@pytest.fixture(params=[way for way in WAYS if way.id.startswith("http")])
def session_sdk(request: pytest.FixtureRequest) -> Sdk:
    """An SDK that takes client sessions."""
    return installed(request.param)


def person() -> dict[str, str]:
    """Return a profile that nobody has."""
    number = uuid4().int
    return {
        "user_identity_key": f"jane-{number}",
        "email_address": f"Jane.{number % 10**18}@Example.com",
        "phone_number": f"+1{number % 10**10:010}",
        "full_name": "Jane Doe",
    }


def told(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says; some SDKs' classes have ``None`` or an empty one for what is not there."""
    return {name: value for name, value in record.items() if value not in (None, {}, [])}


def results(outcomes: list[Outcome]) -> list[Any]:
    """Return the results of calls that all have one."""
    assert codes(outcomes) == [None] * len(outcomes)
    return [outcome["result"] for outcome in outcomes]


def ids(records: list[dict[str, Any]], name: str) -> list[str]:
    return [record[name] for record in records]


# ------------------------------------------------------------------------------------------------------------ The guide


@dataclass(frozen=True)
class Story:
    """What an SDK answered on the way from a new user identity to one that is gone."""

    profile: dict[str, str]
    created: dict[str, Any]
    systems: list[dict[str, Any]]
    compatible: list[dict[str, Any]]
    pools: list[dict[str, Any]]
    launched: dict[str, Any]
    acs_users: list[dict[str, Any]]
    acs_systems: list[dict[str, Any]]
    acs_user: dict[str, Any]
    got: dict[str, Any]
    enrolled: list[dict[str, Any]]
    automations: list[dict[str, Any]]
    service_says: dict[str, Any]
    deleted: Outcome
    missing: list[Outcome]
    enrolled_after: Outcome


@pytest.fixture(scope="module")
def story(service: Service, sdk: Sdk) -> Story:
    profile = person()
    created, systems, compatible = results(
        sdk.call(
            service,
            ("/user_identities/create", profile),
            ("/acs/systems/list", {}),
            (
                "/acs/systems/list_compatible_credential_manager_acs_systems",
                {"acs_system_id": service["ACS_SYSTEM_ID"]},
            ),
        )
    )
    manager_id = compatible[0]["acs_system_id"]
    identity = {"user_identity_id": created["user_identity_id"]}
    manager = {"credential_manager_acs_system_id": manager_id}
    pool = {"acs_credential_pool_id": service["ACS_CREDENTIAL_POOL_ID"]}
    pools, launched, acs_users, acs_systems, acs_user, got, enrolled, automations = results(
        sdk.call(
            service,
            ("/acs/credential_pools/list", {"acs_system_id": manager_id}),
            (f"{AUTOMATIONS}/launch", identity | manager | pool | {"create_credential_manager_user": True}),
            ("/user_identities/list_acs_users", identity),
            ("/user_identities/list_acs_systems", identity),
            ("/acs/users/get", identity | {"acs_system_id": manager_id}),
            ("/user_identities/get", identity),
            ("/user_identities/list", manager),
            (f"{AUTOMATIONS}/list", identity),
        )
    )
    service_says = {
        "user_identity": service.post("/user_identities/get", identity).json()["user_identity"],
        "acs_users": service.post("/user_identities/list_acs_users", identity).json()["acs_users"],
        "acs_systems": service.post("/acs/systems/list", {}).json()["acs_systems"],
        "pools": service.post("/acs/credential_pools/list", {"acs_system_id": manager_id}).json(),
        "automations": service.post(f"{AUTOMATIONS}/list", identity).json()["enrollment_automations"],
    }
    deleted, *missing, enrolled_after = sdk.call(
        service,
        ("/user_identities/delete", identity),
        ("/user_identities/get", identity),
        ("/user_identities/delete", identity),
        ("/user_identities/list_acs_users", identity),
        ("/user_identities/list_acs_systems", identity),
        (f"{AUTOMATIONS}/list", identity),
        (
            f"{AUTOMATIONS}/get",
            {"enrollment_automation_id": service_says["automations"][0]["enrollment_automation_id"]},
        ),
        ("/acs/users/get", {"acs_user_id": acs_user["acs_user_id"]}),
        ("/user_identities/list", manager),
    )
    return Story(
        profile,
        created,
        systems,
        compatible,
        pools,
        launched,
        acs_users,
        acs_systems,
        acs_user,
        got,
        enrolled,
        automations,
        service_says,
        deleted,
        missing,
        enrolled_after,
    )


def test_an_identity_is_created_with_its_profile(service: Service, story: Story) -> None:
    assert story.profile.items() <= story.created.items()
    assert story.created["display_name"] == "Jane Doe"
    assert story.created["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert story.created["acs_user_ids"] == []


def test_the_workspaces_systems_are_listed(service: Service, story: Story) -> None:
    assert all(
        told(system).items() <= says.items()
        for system, says in zip(story.systems, story.service_says["acs_systems"], strict=True)
    )
    assert set(ids(story.systems, "acs_system_id")) >= {  # a service that is not started for these tests has others too
        service["ACS_SYSTEM_ID"],
        service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        service["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    }


def test_the_compatible_credential_manager_is_the_one_that_the_system_names(service: Service, story: Story) -> None:
    assert ids(story.compatible, "acs_system_id") == [service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]]


def test_its_pools_are_listed(service: Service, story: Story) -> None:
    assert story.pools == story.service_says["pools"]["acs_credential_pools"]
    assert ids(story.pools, "acs_credential_pool_id") == [service["ACS_CREDENTIAL_POOL_ID"]]


def test_the_launch_starts_an_automation(story: Story) -> None:
    (says,) = story.service_says["automations"]

    assert story.launched.items() <= says.items()
    assert story.automations == [story.launched]


def test_the_acs_user_of_the_launch_is_linked(service: Service, story: Story) -> None:
    (says,) = story.service_says["acs_users"]
    manager_id = service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]

    assert told(story.acs_user).items() <= says.items()
    assert story.acs_users == [story.acs_user]
    assert story.acs_user["user_identity_id"] == story.created["user_identity_id"]
    assert story.acs_user["acs_system_id"] == manager_id
    assert story.acs_user["full_name"] == "Jane Doe"
    assert story.acs_user["user_identity_email_address"] == story.profile["email_address"]
    assert ids(story.acs_systems, "acs_system_id") == [manager_id]


def test_the_identity_lists_its_acs_user(story: Story) -> None:
    assert told(story.got).items() <= story.service_says["user_identity"].items()
    assert story.got == story.created | {"acs_user_ids": [story.acs_user["acs_user_id"]]}


def test_the_identity_is_among_the_enrolled(story: Story) -> None:
    assert story.got in story.enrolled


def test_a_deleted_identity_is_gone_with_all_that_it_had(story: Story) -> None:
    assert story.deleted == {"result": None}
    assert codes(story.missing) == [
        *["user_identity_not_found"] * 5,
        "enrollment_automation_not_found",
        "acs_user_not_found",
    ]
    assert {outcome["error"]["status_code"] for outcome in story.missing} == {404}
    assert story.created["user_identity_id"] not in ids(story.enrolled_after["result"], "user_identity_id")


# ---------------------------------------------------------------------------------------------------------- Around that


def test_an_update_changes_what_it_names(service: Service, major: Sdk) -> None:
    before, after = person(), {"full_name": "Jane Roe", "phone_number": person()["phone_number"]}
    identity = {"user_identity_id": service.workspace.user_identity(**before)}

    updated, got = results(
        major.call(service, ("/user_identities/update", identity | after), ("/user_identities/get", identity))
    )

    assert updated is None
    assert (before | after).items() <= got.items()


def test_null_clears_a_value_and_another_identity_can_have_it(service: Service, major: Sdk) -> None:
    profile = person()
    nothing = dict.fromkeys(profile)
    identity = {"user_identity_id": service.workspace.user_identity(**profile)}

    updated, got, *created = major.call(
        service,
        ("/user_identities/update", identity | nothing),
        ("/user_identities/get", identity),
        ("/user_identities/create", profile),
    )

    assert updated == {"result": None}
    assert got["result"].items() >= (nothing if major.tells_null else profile).items()
    assert codes(created) == [None if major.tells_null else "user_identity_already_exists"]


def test_an_acs_user_is_added_and_removed(service: Service, major: Sdk) -> None:
    identity = {"user_identity_id": service.workspace.user_identity()}
    acs_user = {"acs_user_id": service.workspace.acs_user(service["ACS_SYSTEM_ID"])}

    added, linked, removed, unlinked, again = major.call(
        service,
        ("/user_identities/add_acs_user", identity | acs_user),
        ("/user_identities/list_acs_users", identity),
        ("/user_identities/remove_acs_user", identity | acs_user),
        ("/user_identities/list_acs_users", identity),
        ("/user_identities/remove_acs_user", identity | acs_user),
    )

    assert added == removed == {"result": None}
    assert ids(linked["result"], "acs_user_id") == [acs_user["acs_user_id"]]
    assert unlinked == {"result": []}
    assert codes([again]) == ["acs_user_not_found"]


def test_acs_users_are_created_listed_and_deleted(service: Service, major: Sdk) -> None:
    identity = {"user_identity_id": service.workspace.user_identity()}
    system = {"acs_system_id": service["ACS_SYSTEM_ID"]}
    profile = {name: person()[name] for name in ("full_name", "email_address", "phone_number")}
    schedule = {"starts_at": "2026-03-03T00:00:00.000Z", "ends_at": "2999-03-03T00:00:00.000Z"}

    created, by_identity, found, deleted, got, *listed = major.call(
        service,
        ("/acs/users/create", profile | system | identity | {"access_schedule": schedule}),
        ("/acs/users/list", identity),
        ("/acs/users/list", system | {"search": profile["email_address"].upper(), "limit": 1}),
        ("/acs/users/delete", system | identity),
        ("/acs/users/get", system | identity),
        ("/acs/users/list", identity),
        ("/acs/users/list", system | {"search": profile["email_address"]}),
    )

    assert (profile | system | identity | {"access_schedule": schedule}).items() <= created["result"].items()
    assert by_identity["result"] == found["result"] == [created["result"]]
    assert deleted == {"result": None}
    assert codes([got]) == ["acs_user_not_found"]
    assert [outcome["result"] for outcome in listed] == [[], []]


def test_a_value_of_another_identity_is_a_conflict_that_names_it(service: Service, major: Sdk) -> None:
    taken = person()
    owner = {"user_identity_id": service.workspace.user_identity(**taken)}
    other = {"user_identity_id": service.workspace.user_identity()}

    outcomes = major.call(
        service,
        ("/user_identities/create", {"email_address": taken["email_address"].swapcase()}),
        ("/user_identities/create", {"user_identity_key": taken["user_identity_key"]}),
        ("/user_identities/update", other | {"phone_number": taken["phone_number"]}),
    )

    for outcome, attribute in zip(outcomes, ["email_address", "user_identity_key", "phone_number"], strict=True):
        assert (
            outcome["error"].items()
            >= {
                "class": "SeamHttpApiError",
                "code": "user_identity_already_exists",
                "status_code": 409,
                "data": owner,
                "has_request_id": True,
            }.items()
        )
        assert attribute in outcome["error"]["message"]


def test_an_acs_user_that_an_automation_uses_can_be_removed_and_deleted(service: Service, major: Sdk) -> None:
    pair = service.pair()
    automation = service.launch(pair | {"create_credential_manager_user": True}).json()["enrollment_automation"]
    identity = {"user_identity_id": pair["user_identity_id"]}
    (acs_user,) = service.post("/user_identities/list_acs_users", identity).json()["acs_users"]
    name = {"acs_user_id": acs_user["acs_user_id"]}

    removed, deleted = major.call(
        service, ("/user_identities/remove_acs_user", identity | name), ("/acs/users/delete", name)
    )

    assert codes([removed, deleted]) == [None, None]
    assert service.launch(pair | {"create_credential_manager_user": True}).json()["enrollment_automation"] == automation


def test_an_acs_user_of_another_identity_is_a_conflict(service: Service, major: Sdk) -> None:
    first, second = ({"user_identity_id": service.workspace.user_identity()} for _ in range(2))
    acs_user = {"acs_user_id": service.workspace.acs_user(service["ACS_SYSTEM_ID"])}

    outcomes = major.call(
        service,
        ("/user_identities/add_acs_user", first | acs_user),
        ("/user_identities/add_acs_user", second | acs_user),
    )

    assert codes(outcomes) == [None, "acs_user_already_linked"]
    assert outcomes[1]["error"]["status_code"] == 409


def test_invalid_input_names_its_fields(major: Sdk, service: Service) -> None:
    outcomes = major.call(
        service,
        ("/user_identities/create", {"email_address": "x", "phone_number": "1"}),
        ("/user_identities/add_acs_user", {"acs_user_id": "x", "user_identity_id": "y"}),
        ("/acs/users/list", {"limit": 0}),
        fields=FIELDS,
    )

    expected: list[tuple[str, dict[str, list[str]]]] = [
        (
            '2 Input Errors: Invalid email for "email_address", Invalid phone number for "phone_number"',
            {"email_address": ["Invalid email"], "phone_number": ["Invalid phone number"]},
        ),
        (
            '2 Input Errors: Invalid uuid for "acs_user_id", Invalid uuid for "user_identity_id"',
            {"acs_user_id": ["Invalid uuid"], "user_identity_id": ["Invalid uuid"]},
        ),
        ('Number must be greater than 0 for "limit"', {"limit": ["Number must be greater than 0"]}),
    ]
    for outcome, (message, fields) in zip(outcomes, expected, strict=True):
        messages = {"validation_errors": {name: fields.get(name, []) for name in FIELDS}} if major.tells_fields else {}
        assert outcome["error"] == messages | {
            "class": "SeamHttpInvalidInputError",
            "code": "invalid_input",
            "status_code": 400,
            "message": message,
            "data": None,
            "has_request_id": True,
        }


def test_a_client_session_lists_its_own_identity_only(service: Service, session_sdk: Sdk) -> None:
    identity = {"user_identity_id": service["USER_IDENTITY_ID"]}
    automations, identities, acs_users, systems, of_identity, of_another, *refused = session_sdk.call(
        service,
        (f"{AUTOMATIONS}/list", identity),
        ("/user_identities/list", {}),
        ("/acs/users/list", {}),
        ("/acs/systems/list", {}),
        ("/user_identities/list_acs_systems", identity),
        ("/user_identities/list_acs_systems", {"user_identity_id": service["OTHER_USER_IDENTITY_ID"]}),
        ("/user_identities/get", identity),
        ("/user_identities/create", {}),
        ("/user_identities/delete", identity),
        client_session_token=service["SEAM_CLIENT_SESSION_TOKEN"],
    )

    assert ids(identities["result"], "user_identity_id") == [service["USER_IDENTITY_ID"]]
    assert automations["result"] == []
    assert ids(acs_users["result"], "acs_user_id") == [service["ACS_USER_ID"]]
    assert ids(systems["result"], "acs_system_id") == [service["ACS_SYSTEM_ID"]]
    assert of_identity["result"] == systems["result"]
    assert codes([of_another]) == ["user_identity_not_found"]
    assert_unauthorized(refused)
