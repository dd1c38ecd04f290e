from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from enrollment.resources.automations import LaunchRequest
from enrollment.resources.user_identities import CreateUserIdentityRequest, ListUserIdentitiesRequest
from enrollment.resources.zod import json_type, zod_message

ID = "de300000-0000-4000-8000-000000000011"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (False, "boolean"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        (0, "number"),
        (1.5, "number"),
    ],
)
def test_a_value_has_the_type_that_json_calls_it(value: Any, name: str) -> None:
    assert json_type(value) == name


def words(model: type[BaseModel], **parameters: Any) -> list[tuple[Any, str]]:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(parameters)
    return [(error["loc"], zod_message(error)) for error in refusal.value.errors()]


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({}, "Required"),
        ({"user_identity_id": 3}, "Expected string, received number"),
        ({"user_identity_id": "x"}, "Invalid uuid"),
        ({"user_identity_id": None}, "Expected string, received null"),
    ],
)
def test_what_is_wrong_with_an_id_is_said_as_zod_says_it(parameters: dict[str, Any], word: str) -> None:
    found = words(LaunchRequest, credential_manager_acs_system_id=ID, **parameters)

    assert found == [(("user_identity_id",), word)]


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("create_credential_manager_user", "true", "Expected boolean, received string"),
        ("create_credential_manager_user", None, "Expected boolean, received null"),
        ("acs_credential_pool_id", None, "Expected string, received null"),
        ("acs_credential_pool_id", [], "Expected string, received array"),
    ],
)
def test_what_is_wrong_with_an_option_is_said_as_zod_says_it(name: str, value: Any, word: str) -> None:
    found = words(LaunchRequest, user_identity_id=ID, credential_manager_acs_system_id=ID, **{name: value})

    assert found == [((name,), word)]


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("limit", 0, "Number must be greater than 0"),
        ("limit", "1", "Expected number, received string"),
        ("limit", 1.5, "Expected integer, received float"),
        ("user_identity_ids", {}, "Expected array, received object"),
        ("user_identity_ids", None, "Expected array, received null"),
        ("user_identity_ids", [ID] * 1001, "Array must contain at most 1000 element(s)"),
        ("created_before", "2026", "Invalid datetime"),
        ("created_before", 5, "Expected string, received number"),
    ],
)
def test_what_is_wrong_with_a_lists_parameter_is_said_as_zod_says_it(name: str, value: Any, word: str) -> None:
    assert words(ListUserIdentitiesRequest, **{name: value}) == [((name,), word)]


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("full_name", "", "String must contain at least 1 character(s)"),
        ("full_name", "x" * 1001, "String must contain at most 1000 character(s)"),
        ("email_address", "jane", "Invalid email"),
        ("phone_number", "0155", "Invalid phone number"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_as_zod_says_it(name: str, value: Any, word: str) -> None:
    assert words(CreateUserIdentityRequest, **{name: value}) == [((name,), word)]


def test_a_rule_of_pydantics_own_stays_as_it_is() -> None:
    class Multiple(BaseModel):
        number: int = Field(multiple_of=2)

    assert words(Multiple, number=3) == [(("number",), "Input should be a multiple of 2")]
