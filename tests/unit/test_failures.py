"""What is logged of an exception: its type, its frames and harmless facts, never a text that it carries."""

import errno
from typing import Any

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, EndpointConnectionError
from botocore.parsers import ResponseParserError
from pydantic import BaseModel

from enrollment.errors import ServiceUnavailable
from enrollment.failures import facts_of, traceback_of

PERSONAL = "jane.doe@example.com +15555550100 Jane Doe"
REQUEST_ID = "LDM6CJP8RMQ1FHKSC1RBVJFPNVV4KQNSO5AEMF66Q9ASUAAJG"


class Person(BaseModel):
    age: int


def client_error(code: Any = "ValidationException", **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": PERSONAL},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": REQUEST_ID, "HTTPHeaders": {"x": PERSONAL}},
        **more,
    }
    return ClientError(response, "TransactWriteItems")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """Return an exception that has been raised, with a traceback."""
    try:
        raise error from cause  # noqa: TRY301 - for its traceback
    except BaseException as caught:  # noqa: BLE001 - any
        return caught


def in_handling(error: Exception, earlier: Exception) -> BaseException:
    """Return an exception that was raised while another was handled."""
    try:
        try:
            raise earlier
        except type(earlier):
            raise error  # noqa: B904 - this is what is tried
    except Exception as caught:  # noqa: BLE001 - any
        return caught


def invalid() -> BaseException:
    try:
        Person.model_validate({"age": PERSONAL})
    except ValueError as error:
        return error
    raise AssertionError


def with_a_note() -> BaseException:
    error = raised(ValueError("x"))
    error.add_note(PERSONAL)
    return error


CARRIERS = {
    "its arguments": raised(KeyError(PERSONAL, {"name": PERSONAL})),
    "an answer of the database": raised(client_error()),
    "an item of a cancelled transaction": raised(
        client_error(
            "TransactionCanceledException",
            CancellationReasons=[
                {"Code": "ConditionalCheckFailed", "Item": {"name": {"S": PERSONAL}}, "Message": PERSONAL}
            ],
        )
    ),
    "codes that are none": raised(client_error(PERSONAL, CancellationReasons=[{"Code": PERSONAL}])),
    "an id of a request that is none": raised(client_error(ResponseMetadata={"RequestId": PERSONAL})),
    "a body that cannot be parsed": raised(ResponseParserError(f"Unable to parse response, {PERSONAL}")),
    "an endpoint's answer": raised(CredentialRetrievalError(provider="container-role", error_msg=PERSONAL)),
    "an address": raised(EndpointConnectionError(endpoint_url=PERSONAL)),
    "bytes": raised(UnicodeDecodeError("utf-8", PERSONAL.encode(), 0, 1, PERSONAL)),
    "the input of a model": invalid(),
    "a file's name": raised(FileNotFoundError(errno.ENOENT, PERSONAL, PERSONAL)),
    "source text": raised(SyntaxError(PERSONAL, (PERSONAL, 1, 1, PERSONAL))),
    "a cause": raised(ServiceUnavailable(), client_error()),
    "a context": in_handling(KeyError("x"), ValueError(PERSONAL)),
    "a group": raised(ExceptionGroup(PERSONAL, [ValueError(PERSONAL)])),
    "a note": with_a_note(),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("part", PERSONAL.split())
def test_nothing_that_an_exception_carries_is_said(carrier: str, part: str) -> None:
    said = f"{facts_of(CARRIERS[carrier])}{traceback_of(CARRIERS[carrier])}"

    assert part not in said


def test_the_types_are_said_from_the_exception_to_its_origin() -> None:
    error = raised(ServiceUnavailable(), in_handling(ValueError(), KeyError()))

    assert facts_of(error) == {"cause": "ServiceUnavailable from ValueError from KeyError"}


def test_what_was_handled_on_purpose_is_left_out() -> None:
    error = in_handling(ValueError(), KeyError())
    error.__suppress_context__ = True

    assert facts_of(error) == {"cause": "ValueError"}


def test_a_group_says_what_is_in_it() -> None:
    assert facts_of(ExceptionGroup("", [ValueError(), KeyError()])) == {"cause": "ExceptionGroup(ValueError, KeyError)"}


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert facts_of(first) == {"cause": "ValueError from KeyError"}


def test_a_long_chain_of_causes_is_named_as_far_as_its_sixteenth() -> None:
    error: BaseException = KeyError()
    for _ in range(20):
        error = raised(ValueError(), error)

    assert facts_of(error) == {"cause": " from ".join(["ValueError"] * 16)}


@pytest.mark.parametrize(("length", "is_named"), [(64, True), (65, False)])
def test_a_code_has_64_letters_at_most(length: int, is_named: bool) -> None:  # noqa: FBT001 - both cases
    assert ("database_error" in facts_of(client_error("E" * length))) is is_named


@pytest.mark.parametrize(("length", "is_named"), [(31, False), (32, True), (64, True), (65, False)])
def test_an_id_of_a_request_has_32_to_64_characters(length: int, is_named: bool) -> None:  # noqa: FBT001 - both cases
    error = client_error(ResponseMetadata={"RequestId": "A" * length})

    assert ("database_request_id" in facts_of(error)) is is_named


def test_what_the_database_answers_is_named() -> None:
    reasons = [{"Code": "None"}, {"Code": "ValidationError"}, {"Code": "ConditionalCheckFailed"}]

    assert facts_of(client_error("TransactionCanceledException", CancellationReasons=reasons)) == {
        "cause": "ClientError",
        "database_error": "TransactionCanceledException",
        "database_status": 400,
        "database_operation": "TransactWriteItems",
        "database_request_id": REQUEST_ID,
        "cancellation_reasons": "ConditionalCheckFailed, ValidationError",
    }


@pytest.mark.parametrize("response", [{}, {"Error": None}, {"Error": {"Code": 3}, "CancellationReasons": [None, 3]}])
def test_an_answer_of_another_form_is_no_obstacle(response: dict[str, Any]) -> None:
    error = client_error()
    error.response = response  # type: ignore[assignment]

    assert facts_of(error) == {"cause": "ClientError", "database_operation": "TransactWriteItems"}


def test_an_error_of_the_operating_system_is_named() -> None:
    error = raised(ServiceUnavailable(), ConnectionRefusedError(errno.ECONNREFUSED, "x"))

    assert facts_of(error)["os_error"] == "ECONNREFUSED"


def test_a_traceback_has_frames_and_types_in_the_order_of_python() -> None:
    lines = traceback_of(raised(ServiceUnavailable(), raised(KeyError("x")))).splitlines()

    assert [line for line in lines if not line.startswith("  ")] == [
        "Traceback (most recent call last):",
        "KeyError",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        "ServiceUnavailable",
    ]
    assert "in raised" in lines[1]
