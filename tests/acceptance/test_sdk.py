"""The published SDKs launch, get, list and delete enrollment automations, and raise their own errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.conftest import Service
from tests.acceptance.sdk import (
    AUTOMATIONS,
    SEAM_1,
    UNKNOWN,
    Call,
    Outcome,
    Sdk,
    assert_unauthorized,
    codes,
    installed,
    javascript,
    param,
    python,
)

LAUNCH, GET, LIST, DELETE = (f"{AUTOMATIONS}/{name}" for name in ("launch", "get", "list", "delete"))
FIELDS = ["user_identity_id", "acs_credential_pool_id", "create_credential_manager_user", "enrollment_automation_id"]

# Newer majors have no methods for these routes.
POST_AND_VERBS = {"seam-3-semantic": Sdk(python(3), "verbs"), "http-2-semantic": Sdk(javascript(2), "verbs")}
MAJORS = {"seam-1": SEAM_1, "seam-3": Sdk(python(3)), "http-1": Sdk(javascript(1)), "http-2": Sdk(javascript(2))}
WAYS = [param(sdk, name) for name, sdk in (MAJORS | POST_AND_VERBS).items()]


@pytest.fixture(scope="module", params=WAYS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@pytest.fixture(params=[way for way in WAYS if way.id not in {"seam-3", "http-2"}])
def major(request: pytest.FixtureRequest) -> Sdk:
    """An SDK by one way of using it, for tests of what the ways share."""
    return installed(request.param)


@pytest.fixture(params=[way for way in WAYS if way.id.startswith("http")])
def session_sdk(request: pytest.FixtureRequest) -> Sdk:
    """An SDK that takes client sessions."""
    return installed(request.param)


def named(automation: dict[str, Any]) -> dict[str, str]:
    return {"enrollment_automation_id": automation["enrollment_automation_id"]}


def of_identity(automation: dict[str, Any]) -> dict[str, str]:
    return {"user_identity_id": automation["user_identity_id"]}


@dataclass(frozen=True)
class Life:
    """What an SDK answered from the launch of an automation to the launch after it was deleted."""

    pair: dict[str, str]
    service_says: dict[str, Any]
    launched: Outcome
    replayed: Outcome
    got: Outcome
    listed: Outcome
    deleted: Outcome
    after_delete: list[Outcome]
    launched_anew: Outcome


@pytest.fixture(scope="module")
def life(service: Service, sdk: Sdk) -> Life:
    pair = service.pair()
    launched, replayed = sdk.call(service, (LAUNCH, pair), (LAUNCH, pair))
    service_says = service.launch(pair).json()["enrollment_automation"]
    got, listed, deleted, *after_delete, launched_anew = sdk.call(
        service,
        (GET, named(service_says)),
        (LIST, of_identity(service_says)),
        (DELETE, named(service_says)),
        (GET, named(service_says)),
        (DELETE, named(service_says)),
        (LIST, of_identity(service_says)),
        (LAUNCH, pair),
    )
    return Life(pair, service_says, launched, replayed, got, listed, deleted, after_delete, launched_anew)


def test_launch_answers_the_automation(service: Service, sdk: Sdk, life: Life) -> None:
    expected = {name: value for name, value in life.service_says.items() if name not in sdk.drops}

    assert life.launched == {"result": expected}
    assert life.pair.items() <= expected.items()
    assert expected["workspace_id"] == service["SEAM_WORKSPACE_ID"]


def test_the_same_launch_again_answers_the_same(life: Life) -> None:
    assert life.replayed == life.launched


def test_get_answers_what_launch_did(life: Life) -> None:
    assert life.got == life.launched


def test_list_has_it(life: Life) -> None:
    assert life.listed == {"result": [life.launched["result"]]}


def test_what_was_deleted_is_not_found(life: Life) -> None:
    got, deleted, listed = life.after_delete

    assert life.deleted == {"result": None}
    assert codes([got, deleted]) == ["enrollment_automation_not_found"] * 2
    assert listed == {"result": []}


def test_a_launch_after_delete_has_a_new_id(life: Life) -> None:
    new, old = life.launched_anew["result"], life.launched["result"]

    assert new["enrollment_automation_id"] != old["enrollment_automation_id"]
    assert life.pair.items() <= new.items()


@dataclass(frozen=True)
class Refused:
    """What an SDK raised, all of it in one process, because starting one takes a second."""

    invalid: list[Outcome]
    not_found: list[Outcome]
    launched: Outcome
    conflict: Outcome


@pytest.fixture(scope="module")
def refused(service: Service, sdk: Sdk) -> Refused:
    pair = service.pair()
    outcomes = sdk.call(
        service,
        (LAUNCH, pair | {"user_identity_id": "x", "create_credential_manager_user": "true"}),
        (GET, {"enrollment_automation_id": "x"}),
        (LIST, {"user_identity_id": "x"}),
        (DELETE, {"enrollment_automation_id": "x"}),
        (LAUNCH, pair | {"user_identity_id": UNKNOWN}),
        (LAUNCH, pair | {"credential_manager_acs_system_id": UNKNOWN}),
        (GET, {"enrollment_automation_id": UNKNOWN}),
        (LIST, {"user_identity_id": UNKNOWN}),
        (DELETE, {"enrollment_automation_id": UNKNOWN}),
        (LAUNCH, pair),
        (LAUNCH, pair | {"create_credential_manager_user": True}),
        fields=FIELDS,
    )
    return Refused(outcomes[:4], outcomes[4:9], *outcomes[9:])


def test_invalid_input_names_its_fields(sdk: Sdk, refused: Refused) -> None:
    of_launch = (
        '2 Input Errors: Invalid uuid for "user_identity_id", '
        'Expected boolean, received string for "create_credential_manager_user"',
        {
            "user_identity_id": ["Invalid uuid"],
            "create_credential_manager_user": ["Expected boolean, received string"],
        },
    )
    of_id = ('Invalid uuid for "enrollment_automation_id"', {"enrollment_automation_id": ["Invalid uuid"]})
    of_list = ('Invalid uuid for "user_identity_id"', {"user_identity_id": ["Invalid uuid"]})

    for outcome, (message, fields) in zip(refused.invalid, [of_launch, of_id, of_list, of_id], strict=True):
        told = {"validation_errors": {name: fields.get(name, []) for name in FIELDS}} if sdk.tells_fields else {}
        assert outcome["error"] == told | {
            "class": "SeamHttpInvalidInputError",
            "code": "invalid_input",
            "status_code": 400,
            "message": message,
            "data": None,
            "has_request_id": True,
        }


def test_what_is_not_there_is_an_error_with_its_code(refused: Refused) -> None:
    assert codes(refused.not_found) == [
        "user_identity_not_found",
        "acs_system_not_found",
        "enrollment_automation_not_found",
        "user_identity_not_found",
        "enrollment_automation_not_found",
    ]
    for outcome in refused.not_found:
        assert (outcome["error"]["class"], outcome["error"]["status_code"]) == ("SeamHttpApiError", 404)
        assert outcome["error"]["has_request_id"]


def test_a_conflict_names_what_exists(refused: Refused) -> None:
    error = refused.conflict["error"]

    assert (error["class"], error["status_code"]) == ("SeamHttpApiError", 409)
    assert error["code"] == "enrollment_automation_already_exists"
    assert error["data"] == named(refused.launched["result"])
    assert error["has_request_id"]


def every_method(service: Service) -> Iterator[Call]:
    yield LAUNCH, service.pair()
    yield GET, {"enrollment_automation_id": UNKNOWN}
    yield LIST, {"user_identity_id": UNKNOWN}
    yield DELETE, {"enrollment_automation_id": UNKNOWN}


@pytest.mark.gateway
@pytest.mark.parametrize("api_key", ["seam_testNone_PubLicDemoKeyForLocaLUse", "seam_junk"])
def test_a_bad_key_is_unauthorized(service: Service, major: Sdk, api_key: str) -> None:
    assert_unauthorized(major.call(service, *every_method(service), api_key=api_key))


def test_a_personal_access_token_sees_the_workspace_that_it_names(service: Service, major: Sdk) -> None:
    automation = service.launch(service.pair()).json()["enrollment_automation"]
    calls: list[Call] = [(GET, named(automation)), (LIST, of_identity(automation)), (DELETE, named(automation))]
    token = {"personal_access_token": service["SEAM_PERSONAL_ACCESS_TOKEN"]}

    elsewhere = major.call(service, *calls, workspace_id=service["OTHER_SEAM_WORKSPACE_ID"], **token)
    launched, got, listed, deleted = major.call(
        service, (LAUNCH, service.pair()), *calls, workspace_id=service["SEAM_WORKSPACE_ID"], **token
    )

    assert codes(elsewhere) == [
        "enrollment_automation_not_found",
        "user_identity_not_found",
        "enrollment_automation_not_found",
    ]
    assert launched["result"]["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert got["result"].items() <= automation.items()
    assert listed["result"] == [got["result"]]
    assert deleted == {"result": None}


def test_a_client_session_reads_its_own_identity(service: Service, session_sdk: Sdk) -> None:
    identity = {"user_identity_id": service["USER_IDENTITY_ID"]}
    manager = {"credential_manager_acs_system_id": service["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}
    own = service.launch(identity | manager).json()["enrollment_automation"]
    other = service.launch(service.pair()).json()["enrollment_automation"]

    got, listed, *others, launched, deleted = session_sdk.call(
        service,
        (GET, named(own)),
        (LIST, identity),
        (GET, named(other)),
        (LIST, of_identity(other)),
        (LAUNCH, identity | manager),
        (DELETE, named(own)),
        client_session_token=service["SEAM_CLIENT_SESSION_TOKEN"],
    )

    assert got == {"result": own}
    assert listed == {"result": [own]}
    assert codes(others) == ["enrollment_automation_not_found", "user_identity_not_found"]
    assert_unauthorized([launched, deleted])
