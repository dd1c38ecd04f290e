"""The evaluator of policies that the proof of least privilege rests on."""

from typing import Any

import pytest

from tests.iam import Context, is_allowed

ACTION, RESOURCE, KEY = "dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:1:table/t", "dynamodb:LeadingKeys"


def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": ACTION, "Resource": RESOURCE, **more}


def allows(condition: dict[str, Any], context: Context) -> bool:
    return is_allowed([statement(Condition=condition)], ACTION, RESOURCE, context)


def test_what_nothing_allows_is_denied() -> None:
    assert is_allowed([], ACTION, RESOURCE, {}) is False


def test_a_denial_wins() -> None:
    assert is_allowed([statement(), statement("Deny")], ACTION, RESOURCE, {}) is False


@pytest.mark.parametrize(
    ("action", "is_it"),
    [
        (ACTION, True),
        ("dynamodb:getitem", True),
        ("dynamodb:Get*", True),
        (["a:B", "*"], True),
        ("dynamodb:Put*", False),
    ],
)
def test_actions_match_without_regard_to_case_and_with_wildcards(
    action: Any,
    is_it: bool,  # noqa: FBT001
) -> None:
    assert is_allowed([statement(Action=action)], ACTION, RESOURCE, {}) is is_it


@pytest.mark.parametrize(
    ("resource", "is_it"), [("*", True), (f"{RESOURCE}/index/*", False), (RESOURCE.upper(), False)]
)
def test_resources_match_with_regard_to_case(resource: str, is_it: bool) -> None:  # noqa: FBT001
    assert is_allowed([statement(Resource=resource)], ACTION, RESOURCE, {}) is is_it


@pytest.mark.parametrize(
    ("found", "is_it"), [(["a#1"], True), (["a#1", "a#2"], True), (["a#1", "b#1"], False), (["b#1"], False), ([], True)]
)
def test_for_all_values_holds_of_every_value_and_of_none(found: list[str], is_it: bool) -> None:  # noqa: FBT001
    assert allows({"ForAllValues:StringLike": {KEY: ["a#*"]}}, {KEY: found}) is is_it


@pytest.mark.parametrize(("found", "is_it"), [(["a", "b"], True), (["b"], False), ([], False)])
def test_for_any_value_needs_one(found: list[str], is_it: bool) -> None:  # noqa: FBT001
    assert allows({"ForAnyValue:StringEquals": {KEY: "a"}}, {KEY: found}) is is_it


@pytest.mark.parametrize(("null", "is_without"), [("true", True), ("false", False)])
def test_null_is_about_a_key_that_is_not_there(null: str, is_without: bool) -> None:  # noqa: FBT001
    assert allows({"Null": {KEY: null}}, {}) is is_without
    assert allows({"Null": {KEY: null}}, {KEY: ["a"]}) is not is_without


def test_a_plain_operator_does_not_hold_without_its_key() -> None:
    assert allows({"StringEquals": {KEY: "a"}}, {}) is False
    assert allows({"StringEquals": {KEY: ["b", "a"]}}, {KEY: ["a"]}) is True


def test_a_question_mark_is_one_character() -> None:
    assert allows({"StringLike": {KEY: "a?c"}}, {KEY: ["abc"]}) is True
    assert allows({"StringLike": {KEY: "a?c"}}, {KEY: ["ac"]}) is False


def test_every_operator_and_every_key_has_to_hold() -> None:
    condition = {"StringEquals": {"k": "a", "l": "b"}, "Null": {"m": "true"}}

    assert allows(condition, {"k": ["a"], "l": ["b"]}) is True
    assert allows(condition, {"k": ["a"], "l": ["c"]}) is False
    assert allows(condition, {"k": ["a"], "l": ["b"], "m": ["x"]}) is False


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(KeyError):
        allows({"IpAddress": {KEY: "10.0.0.0/8"}}, {KEY: ["a"]})
    with pytest.raises(ValueError, match="not a statement"):
        is_allowed([statement(NotPrincipal="*")], ACTION, RESOURCE, {})
    with pytest.raises(ValueError, match="for one value"):
        allows({"StringEquals": {KEY: "a"}}, {KEY: ["a", "b"]})
