from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from enrollment.resources.acs_systems import ListAcsCredentialPoolsRequest, ListAcsSystemsRequest
from enrollment.resources.acs_users import ListAcsUsersRequest
from enrollment.resources.automations import LaunchRequest
from enrollment.resources.user_identities import ListUserIdentitiesRequest
from enrollment.timestamps import timestamp

IDENTITY = "de300000-0000-4000-8000-000000000011"
MANAGER = "de300000-0000-4000-8000-000000000021"


def test_ids_are_read_without_regard_to_case() -> None:
    request = LaunchRequest(user_identity_id=IDENTITY.upper(), credential_manager_acs_system_id=MANAGER)

    assert request.user_identity_id == IDENTITY


@pytest.mark.parametrize(
    "not_a_uuid",
    ["", "x", IDENTITY + "\n", f"{{{IDENTITY}}}", f"urn:uuid:{IDENTITY}", IDENTITY.replace("-", ""), IDENTITY + "0"],
)
def test_only_the_hyphenated_form_is_a_uuid(not_a_uuid: str) -> None:
    with pytest.raises(ValidationError, match="Invalid uuid"):
        LaunchRequest(user_identity_id=not_a_uuid, credential_manager_acs_system_id=MANAGER)


def test_unknown_parameters_are_ignored() -> None:
    request = LaunchRequest.model_validate(
        {"user_identity_id": IDENTITY, "credential_manager_acs_system_id": MANAGER, "_strict": True}
    )

    assert "_strict" not in request.model_dump()


def test_false_with_an_acs_user_is_fine() -> None:
    request = LaunchRequest(
        user_identity_id=IDENTITY,
        credential_manager_acs_system_id=MANAGER,
        create_credential_manager_user=False,
        credential_manager_acs_user_id=IDENTITY,
    )

    assert request.credential_manager_acs_user_id == IDENTITY


def test_a_validation_error_does_not_carry_the_input() -> None:
    with pytest.raises(ValidationError) as refusal:
        LaunchRequest(user_identity_id="a secret", credential_manager_acs_system_id=MANAGER)

    assert "a secret" not in str(refusal.value)


@pytest.mark.parametrize("optional", ["acs_credential_pool_id", "credential_manager_acs_user_id"])
def test_the_schema_of_an_optional_id_does_not_admit_null(optional: str) -> None:
    schema = LaunchRequest.model_json_schema()["properties"][optional]

    assert (schema["type"], schema["format"]) == ("string", "uuid")


def test_a_timestamp_is_utc_with_milliseconds() -> None:
    moment = datetime(2024, 1, 9, 6, 45, 33, 68_999, tzinfo=timezone(timedelta(hours=1)))

    assert timestamp(moment) == "2024-01-09T05:45:33.068Z"


def test_a_timestamp_keeps_its_milliseconds_when_they_are_zero() -> None:
    assert timestamp(datetime(2024, 1, 9, tzinfo=UTC)) == "2024-01-09T00:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-09T05:45:33.068Z", "2024-01-09T05:45:33.068000+00:00"),
        ("2024-01-09t06:45:33+01:00", "2024-01-09T05:45:33+00:00"),
        ("2024-01-09T06:45:33.068000+0100", "2024-01-09T05:45:33.068000+00:00"),
        ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999000+00:00"),
        ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999000+00:00"),
    ],
)
def test_a_moment_is_what_rfc_3339_says_as_far_as_python_goes(text: str, moment: str) -> None:
    request = ListUserIdentitiesRequest.model_validate({"created_before": text})

    assert request.created_before is not None
    assert request.created_before.isoformat() == moment


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-01-09", "2024-01-09T05:45:33", "2024-13-09T05:45:33Z", "20240109T054533Z", "x", 1, None]
)
def test_anything_else_is_no_moment(text: object) -> None:
    with pytest.raises(ValidationError):
        ListUserIdentitiesRequest.model_validate({"created_before": text})


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        (ListUserIdentitiesRequest(), 500),
        (ListAcsUsersRequest(), 500),
        (ListAcsSystemsRequest(), 1000),
        (ListAcsCredentialPoolsRequest(acs_system_id=MANAGER), 1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_page_has_as_many_records_as_the_contract_says(
    asked: ListUserIdentitiesRequest | ListAcsUsersRequest | ListAcsSystemsRequest | ListAcsCredentialPoolsRequest,
    limit: int,
) -> None:
    assert asked.limit == limit
