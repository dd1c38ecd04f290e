"""What is said to clients of what is wrong at credential managers."""

from datetime import UTC, datetime

import pytest

from enrollment.store.attributes import Item
from enrollment.use_cases.problems import errors_of_credential, errors_of_registration, warnings_of_credential

SINCE, LATER = "2026-01-09T05:45:33.068Z", "2026-01-10T05:45:33.068Z"
NOW = datetime(2026, 1, 10, 5, 45, 33, 68000, tzinfo=UTC)
FAILED: Item = {"state": "failed", "state_since": SINCE}
# By the contract's table ("Credential managers").
REASONS = [
    "pool_exhausted",
    "invitation_expired",
    "email_required",
    "phone_number_required",
    "person_conflict",
    "phone_unsupported",
    "phone_limit_reached",
    "credential_limit_reached",
    "suspended_at_manager",
    "rejected",
]


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_code_and_a_text_of_its_own(reason: str) -> None:
    (of_phone,) = errors_of_registration({**FAILED, "reason": reason}, NOW)
    (of_credential,) = errors_of_credential({**FAILED, "reason": reason})
    others = [errors_of_credential({**FAILED, "reason": other})[0].message for other in REASONS if other != reason]

    assert of_phone == of_credential
    assert of_phone.error_code == reason
    assert of_phone.message.endswith(".")
    assert of_phone.message not in others


def test_what_the_credential_manager_says_itself_is_passed_on() -> None:
    (error,) = errors_of_registration({**FAILED, "reason": "rejected", "message": "Ask at the reception"}, NOW)

    assert (error.error_code, error.message) == ("rejected", "Ask at the reception")


@pytest.mark.parametrize("told", [{}, {"reason": "of another release"}])
def test_a_failure_without_a_known_reason_has_a_text_too(told: Item) -> None:
    (rejected,) = errors_of_registration({**FAILED, "reason": "rejected"}, NOW)

    (error,) = errors_of_registration({**FAILED, **told}, NOW)

    assert error.message == rejected.message


@pytest.mark.parametrize("state", [{}, *({"state": state} for state in ("pending", "invited", "active", "removing"))])
def test_what_goes_its_way_is_no_error(state: Item) -> None:
    assert errors_of_registration(state, NOW) == []
    assert errors_of_credential(state) == []


def test_a_credential_manager_is_unreachable_after_a_day_without_an_answer() -> None:
    (error,) = errors_of_registration({"unanswered_since": SINCE}, NOW)

    assert (error.error_code, error.created_at) == ("credential_manager_unreachable", LATER)
    assert errors_of_registration({"unanswered_since": "2026-01-09T05:45:33.069Z"}, NOW) == []


def test_a_phone_that_has_failed_and_is_not_answered_for_has_two_errors() -> None:
    errors = errors_of_registration({**FAILED, "reason": "rejected", "unanswered_since": SINCE}, NOW)

    assert [error.error_code for error in errors] == ["rejected", "credential_manager_unreachable"]


def test_what_is_gone_has_another_code_for_phones_and_credentials() -> None:
    gone: Item = {"state": "gone", "state_since": SINCE}

    errors = errors_of_registration(gone, NOW) + errors_of_credential(gone)

    assert [error.error_code for error in errors] == ["removed_by_credential_manager", "invalidated"]
    assert [error.created_at for error in errors] == [SINCE, SINCE]


@pytest.mark.parametrize("state", ["gone", "failed"])
def test_what_is_being_deleted_has_no_errors(state: str) -> None:
    credential: Item = {"state": state, "state_since": SINCE, "being_deleted_at": LATER}

    assert errors_of_credential(credential) == []


def test_a_warning_says_since_when() -> None:
    credential: Item = {"created_at": SINCE, "starts_at": SINCE}
    changed: Item = {**credential, "synced_at": LATER, "manager_ends_at": LATER}

    waiting = warnings_of_credential(credential, is_issued=False, is_synced=False)
    deleted = warnings_of_credential({**credential, "being_deleted_at": LATER}, is_issued=True, is_synced=False)
    rescheduled = warnings_of_credential(changed, is_issued=True, is_synced=True)

    assert [(one.warning_code, one.created_at) for one in [*waiting, *deleted, *rescheduled]] == [
        ("waiting_to_be_issued", SINCE),
        ("being_deleted", LATER),
        ("schedule_externally_modified", LATER),
    ]
