"""Explains in one line why AWS, or another DynamoDB server, refuses a command, and what the operator can do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from enrollment.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Errors of a command's calls to AWS.
AWS_ERRORS = (ServiceUnavailable, BotoCoreError, ClientError, ResponseParserError)

_AWS = re.compile(r"amazonaws\.|\.aws\.?$")
_KEYS = {"pk": "HASH", "sk": "RANGE"}
_LONGEST_REASON = 300

_NO_TABLE = (
    "there is no such table; check the table's or stack's name, the region (--region) and the account (--profile)"
)
_OTHER_KEYS = (
    "this is not a table of this service: its partition key must be pk and its sort key sk, both strings; "
    "check the table's name"
)
_NOT_DYNAMODB = "the server is not DynamoDB; check the address"
_EXPIRED = "your AWS credentials have expired; log in again"
_NOT_ACCEPTED = (
    "AWS does not accept your credentials; check --profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "whether the region is enabled for your account, and this machine's clock"
)
_NO_CREDENTIALS = (
    "there are no AWS credentials; name a profile that has some (--profile), or set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY"
)
# Codes of DynamoDB, CloudFormation and STS: "Common Errors" in their API references.
_BY_CODE = {
    "ResourceNotFoundException": _NO_TABLE,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "IncompleteSignature": _NOT_ACCEPTED,
    "IncompleteSignatureException": _NOT_ACCEPTED,
    "InvalidClientTokenId": _NOT_ACCEPTED,
    "InvalidSignatureException": _NOT_ACCEPTED,
    "MissingAuthenticationToken": _NOT_ACCEPTED,
    "MissingAuthenticationTokenException": _NOT_ACCEPTED,
    "SignatureDoesNotMatch": _NOT_ACCEPTED,
    "UnrecognizedClientException": _NOT_ACCEPTED,
}
# Codes of services that do not let somebody in, and what their messages say of the action that is missing.
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
_ACTION = re.compile(r"perform: ([a-z0-9-]+:\w+)")
_RIGHTS = "docs/operations.md, “Who may do what”, has the rights of the person who operates and of the one who deploys"
# Parts of DynamoDB's messages about a key that the table does not have.
_KEY_MESSAGES = ("key schema element", "does not match the schema", "Query key condition not supported")
# The first entry that fits is used.  "{}" stands for botocore's own text.
_BY_TYPE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((NoRegionError,), "no AWS region is set; add --region, or set AWS_DEFAULT_REGION"),
    ((InvalidRegionError,), "{}; check --region, or AWS_DEFAULT_REGION"),
    ((ProfileNotFound,), "{}; check --profile, or AWS_PROFILE"),
    ((NoCredentialsError,), _NO_CREDENTIALS),
    ((PartialCredentialsError, CredentialRetrievalError), "{}; check your AWS credentials"),
    ((SSOError, TokenRetrievalError, LoginError), "{}; log in again"),
    ((SSLError,), "{}; check the address, which may need http://, and AWS_CA_BUNDLE"),
    ((ConnectionError, HTTPClientError), "{}; check the address or region, whether the server runs, and the network"),
    ((ResponseParserError,), _NOT_DYNAMODB),
)


class WrongTable(Exception):
    """The server is not DynamoDB, or the table is not one of this service.  The message says which."""


def reason_of(error: BaseException) -> str:
    """Return in one line what is wrong.  If a remedy is known, the line names it too.

    Args:
        error: One of ``AWS_ERRORS``, or any other exception.
    """
    if isinstance(error, ServiceUnavailable) and error.__cause__ is not None:
        return reason_of(error.__cause__)
    if isinstance(error, ClientError):
        if (action := denied_action(error)) is not None:
            right = action if ":" in action else f"to {action}"
            return f"you lack the right {right} here; {_RIGHTS}"
        return _one_line(_reason_of_answer(cast("dict[str, Any]", error.response), str(error)))
    for types, text in _BY_TYPE:
        if isinstance(error, types):
            return text.format(_one_line(str(error).rstrip(".")))
    return _one_line(str(error))


def denied_action(error: BaseException) -> str | None:
    """Return the action that AWS does not allow, such as ``dynamodb:Query``; ``None`` if the error is another one.

    If AWS does not name the action, it is the operation, such as ``Query``.

    Args:
        error: What a call to AWS raised.
    """
    if isinstance(error, ServiceUnavailable) and error.__cause__ is not None:
        return denied_action(error.__cause__)
    if not isinstance(error, ClientError) or error.response.get("Error", {}).get("Code") not in _DENIED:
        return None
    named = _ACTION.search(str(error))
    return named[1] if named else str(error.operation_name)


def check_table(client: "DynamoDBClient", name: str) -> None:
    """Check that a table can be one of this service, and that the server is DynamoDB.

    Args:
        client: A client of the server.
        name: The table's name.

    Raises:
        WrongTable: The table has other keys, or the server is not DynamoDB.
        ClientError: There is no such table, or the server is not DynamoDB.
    """
    with _reading_answers():
        answer: dict[str, Any] = {**client.describe_table(TableName=name)}
        keys = {element["AttributeName"]: element["KeyType"] for element in answer["Table"]["KeySchema"]}
    if keys != _KEYS:
        raise WrongTable(_OTHER_KEYS)


def create_table(client: "DynamoDBClient", name: str, properties: Mapping[str, Any]) -> None:
    """Create a table and wait until it is active.  A table that exists already is checked, and stays unchanged.

    Args:
        client: A client of the server.
        name: The table's name.
        properties: The other parameters of ``CreateTable``.

    Raises:
        WrongTable: The existing table has other keys, or the server is not DynamoDB.
        ClientError: The server is not DynamoDB, or refuses the call.
    """
    with _reading_answers(), suppress(client.exceptions.ResourceInUseException):
        client.create_table(TableName=name, **properties)
    check_table(client, name)
    client.get_waiter("table_exists").wait(TableName=name)


@contextmanager
def _reading_answers() -> Iterator[None]:
    """Refuse the JSON of another server.  botocore's parser, or the caller, raises one of these errors for it."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise WrongTable(_NOT_DYNAMODB) from error


def host_of(endpoint: str) -> str:
    """Return the host of a server's address.

    Args:
        endpoint: For example ``http://127.0.0.1:8000``.

    Raises:
        ValueError: It is not an address of that form.  The message names it.
    """
    try:
        address = urlsplit(endpoint)
        port = address.port  # reading the port checks it
    except ValueError as error:
        raise ValueError(f"{endpoint} is not an address: {error}") from error
    is_printable = all("\x21" <= character <= "\x7e" for character in endpoint)
    if address.scheme not in {"http", "https"} or not address.hostname or port == 0 or not is_printable:
        raise ValueError(f"{endpoint} is not an address; write it like http://127.0.0.1:8000")
    return address.hostname


def is_aws(host: str) -> bool:
    """Return whether a host belongs to AWS."""
    return _AWS.search(host) is not None


def _reason_of_answer(response: dict[str, Any], text: str) -> str:
    details = response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code == "ValidationException" and any(part in message for part in _KEY_MESSAGES):
        return _OTHER_KEYS
    # Errors of AWS have a code.  Without one, botocore uses the HTTP status as the code.
    if not code or code.isdigit():
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", code)
        return f"{_NOT_DYNAMODB} (it answered with HTTP status {status})"
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]
