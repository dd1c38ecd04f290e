"""What a person is told when AWS or a DynamoDB server does not do what a command asks."""

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSLError,
    SSOTokenLoadError,
)

from enrollment.errors import ServiceUnavailable
from enrollments.database import host_of, reason_of


def refusal(code: str, message: str = "m", status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Query")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal("ResourceNotFoundException"), "there is no such table; check"),
        (refusal("ExpiredTokenException"), "your AWS credentials have expired; log in again"),
        (refusal("UnrecognizedClientException"), "AWS does not accept your credentials; check --profile"),
        (refusal("InvalidClientTokenId"), "AWS does not accept your credentials; check --profile"),
        (
            refusal("ValidationException", "Query condition missed key schema element: pk"),
            "this is not a table of this",
        ),
        (refusal("ValidationException", "The provided key element does not match the schema"), "this is not a table"),
        (refusal("404", "Not Found", 404), "the server is not DynamoDB; check the address (it answered with"),
        (
            refusal("", "", 302),
            "the server is not DynamoDB; check the address (it answered with HTTP status 302)",
        ),
        (NoRegionError(), "no AWS region is set; add --region"),
        (NoCredentialsError(), "there are no AWS credentials; name a profile"),
        (ProfileNotFound(profile="p"), "The config profile (p) could not be found; check --profile, or AWS_PROFILE"),
        (SSOTokenLoadError(error_msg="x"), "Error loading SSO Token: x; log in again"),
        (EndpointConnectionError(endpoint_url="http://h"), 'Could not connect to the endpoint URL: "http://h"; check'),
        (
            SSLError(endpoint_url="https://h", error=OSError("e")),
            "SSL validation failed for https://h e; check the address",
        ),
    ],
)
def test_a_failure_is_said_with_what_to_do(error: Exception, reason: str) -> None:
    assert reason_of(error).startswith(reason)


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_a_right_that_is_missing_is_named(code: str) -> None:
    error = refusal(code, "User: u is not authorized to perform: dynamodb:Query on resource: r")

    assert reason_of(error).startswith("you lack the right dynamodb:Query here; docs/operations.md")


def test_where_aws_does_not_name_the_right_the_operation_is_named() -> None:
    assert reason_of(refusal("AccessDenied", "Access Denied")).startswith("you lack the right to Query here")


def test_an_outage_is_explained_by_its_cause() -> None:
    outage = ServiceUnavailable()
    outage.__cause__ = EndpointConnectionError(endpoint_url="http://h")

    assert reason_of(outage).startswith("Could not connect")


def test_a_reason_is_one_short_line() -> None:
    reason = reason_of(ValueError("a\n" * 1000))

    assert "\n" not in reason
    assert len(reason) == 300


def test_the_host_of_an_address() -> None:
    assert host_of("http://db.example.com:8000") == "db.example.com"


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "localhost",
        "127.0.0.1:8000",
        "localhost:8000",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:x",
        "http://h h",
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        host_of(endpoint)
