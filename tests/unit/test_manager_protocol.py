"""Answers of credential managers: what is taken, and what is no usable answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from enrollment.managers.protocol import (
    NoUsableAnswerError,
    Request,
    RequestType,
    State,
    ask_about_credential,
    ask_about_phone,
)

CREDENTIAL = {"acs_credential_id": "one", "state": "active"}


@dataclass(frozen=True)
class Answers:
    """A manager with one answer."""

    answer: Mapping[str, Any]

    def ask(self, _: Request) -> Mapping[str, Any]:
        return self.answer


def status_of(answer: Any) -> Any:
    return ask_about_phone(Answers(answer), Request("id", RequestType.PHONE_STATUS, {}))


def issue_of(answer: Any) -> Any:
    request = Request("id", RequestType.CREDENTIAL_ISSUE, {"acs_credential_id": "one"})
    return ask_about_credential(Answers(answer), request)


def test_only_the_state_is_required_and_unknown_fields_are_ignored() -> None:
    assert status_of({"state": "active", "colour": "red"}).state is State.ACTIVE
    assert issue_of({**CREDENTIAL, "colour": "red"}).state is State.ACTIVE


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "active",
        {"state": "perhaps"},
        {"state": "active", "check_after_s": -1},
        {"state": "active", "check_after_s": float("nan")},
        {"state": "invited", "app": "a code"},
        {"state": "invited", "app_expires_at": "2026-11-30T12:00:00"},
        {"state": "active", "memo": {"much": "x" * 2048}},
        {"state": "active", "credentials": [{"state": "active"}]},
        {"state": "active", "credentials": [{"acs_credential_id": "one", "state": "invited"}]},
    ],
)
def test_what_is_not_of_the_protocol_is_no_usable_answer_about_a_phone(answer: Any) -> None:
    with pytest.raises(NoUsableAnswerError):
        status_of(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "active"},
        {**CREDENTIAL, "acs_credential_id": "another"},
        {**CREDENTIAL, "state": "invited"},
        {**CREDENTIAL, "version": "x"},
        {**CREDENTIAL, "version": 10**40},
        {**CREDENTIAL, "card_number": "\ud800"},
        {**CREDENTIAL, "ends_at": "2026-11-30"},
    ],
)
def test_what_is_not_of_the_protocol_is_no_usable_answer_about_a_credential(answer: Any) -> None:
    with pytest.raises(NoUsableAnswerError):
        issue_of(answer)


def test_a_long_text_is_cut() -> None:
    assert len(status_of({"state": "failed", "message": "x" * 100_000}).message) == 1000
