"""The one DynamoDB table: its keys, its reads and its transactions.

Everything of a workspace has a partition key that begins with ``WORKSPACE#<workspace_id>#``, so an id of another
workspace is an id that does not exist.  Items hold strings and booleans only.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError  # noqa: A004
from botocore.parsers import ResponseParserError

from enrollment.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = Mapping[str, str | bool]
type Action = dict[str, dict[str, Any]]

# Error codes that pass by themselves.  botocore retries them at the level of a call, but not inside a cancelled
# transaction, where they stand as reasons and where TransactionConflict joins them.
_PASSING = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CONDITION_FAILED = "ConditionalCheckFailed"

# Full jitter, doubling from 25 ms to 400 ms: at most 1.6 s of waiting, well below the functions' timeout.
_ATTEMPTS = 8
_FIRST_DELAY_SECONDS = 0.025
_LONGEST_DELAY_SECONDS = 0.4


class Key(NamedTuple):
    """A primary key."""

    pk: str
    sk: str


def user_identity_key(workspace_id: str, user_identity_id: str) -> Key:
    """Return the key of a user identity."""
    return Key(_partition(workspace_id, "USER_IDENTITY", user_identity_id), "USER_IDENTITY")


def automation_key(workspace_id: str, user_identity_id: str, acs_system_id: str) -> Key:
    """Return the key of an identity's automation with one credential manager: at most one can have it."""
    partition = user_identity_key(workspace_id, user_identity_id).pk
    return Key(partition, f"ENROLLMENT_AUTOMATION#{acs_system_id}")


def acs_user_link_key(workspace_id: str, user_identity_id: str, acs_system_id: str) -> Key:
    """Return the key of an identity's link to its ACS user in one system: at most one can have it."""
    return Key(user_identity_key(workspace_id, user_identity_id).pk, f"ACS_USER#{acs_system_id}")


def automation_by_id_key(workspace_id: str, enrollment_automation_id: str) -> Key:
    """Return the key of the item that finds an automation by its id."""
    partition = _partition(workspace_id, "ENROLLMENT_AUTOMATION", enrollment_automation_id)
    return Key(partition, "ENROLLMENT_AUTOMATION")


def acs_system_key(workspace_id: str, acs_system_id: str) -> Key:
    """Return the key of an ACS system."""
    return Key(_partition(workspace_id, "ACS_SYSTEM", acs_system_id), "ACS_SYSTEM")


def acs_credential_pool_key(workspace_id: str, acs_credential_pool_id: str) -> Key:
    """Return the key of a credential pool."""
    return Key(_partition(workspace_id, "ACS_CREDENTIAL_POOL", acs_credential_pool_id), "ACS_CREDENTIAL_POOL")


def acs_user_key(workspace_id: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user."""
    return Key(_partition(workspace_id, "ACS_USER", acs_user_id), "ACS_USER")


def token_key(short: str) -> Key:
    """Return the key of a token's record."""
    return Key(f"TOKEN#{short}", "TOKEN")


def token_listing_key(short: str) -> Key:
    """Return the key of the item that lists a token: one partition, written to only when a token is issued."""
    return Key("TOKENS", short)


def _partition(workspace_id: str, kind: str, identifier: str) -> str:
    return f"WORKSPACE#{workspace_id}#{kind}#{identifier}"


def put_new(key: Key, item: Item) -> Action:
    """Put an item where there is none."""
    return {"Put": {"Item": _marshal(_with_key(key, item)), "ConditionExpression": "attribute_not_exists(pk)"}}


def put_new_or_same(key: Key, item: Item, attribute: str) -> Action:
    """Put an item where there is none, or one with the same value of an attribute."""
    return {
        "Put": {
            "Item": _marshal(_with_key(key, item)),
            "ConditionExpression": "attribute_not_exists(pk) OR #a = :a",
            "ExpressionAttributeNames": {"#a": attribute},
            "ExpressionAttributeValues": _marshal({":a": item[attribute]}),
        }
    }


def require(key: Key) -> Action:
    """Require that an item is there."""
    return {"ConditionCheck": {"Key": _marshal(key._asdict()), "ConditionExpression": "attribute_exists(pk)"}}


def require_equal(key: Key, attribute: str, value: str) -> Action:
    """Require that an item is there with a value of an attribute."""
    return {
        "ConditionCheck": {
            "Key": _marshal(key._asdict()),
            "ConditionExpression": "#a = :a",
            "ExpressionAttributeNames": {"#a": attribute},
            "ExpressionAttributeValues": _marshal({":a": value}),
        }
    }


def claim(key: Key, attribute: str, value: str, *, where: tuple[str, str]) -> Action:
    """Set an attribute that is absent or has that value already, of an item that has another attribute's value.

    Args:
        key: The item's key; it must exist.
        attribute: The attribute to set.
        value: Its value.
        where: The other attribute and the value that it must have.
    """
    required_attribute, required_value = where
    return {
        "Update": {
            "Key": _marshal(key._asdict()),
            "UpdateExpression": "SET #a = :a",
            "ConditionExpression": "#w = :w AND (attribute_not_exists(#a) OR #a = :a)",
            "ExpressionAttributeNames": {"#a": attribute, "#w": required_attribute},
            "ExpressionAttributeValues": _marshal({":a": value, ":w": required_value}),
        }
    }


def delete_equal(key: Key, attribute: str, value: str) -> Action:
    """Delete an item that is there with a value of an attribute."""
    check = require_equal(key, attribute, value)["ConditionCheck"]
    return {"Delete": check}


def set_once(key: Key, attribute: str, value: str) -> Action:
    """Set an attribute of an item that is there and does not have it."""
    return {
        "Update": {
            "Key": _marshal(key._asdict()),
            "UpdateExpression": "SET #a = :a",
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#a)",
            "ExpressionAttributeNames": {"#a": attribute},
            "ExpressionAttributeValues": _marshal({":a": value}),
        }
    }


CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "legacy", "total_max_attempts": 3},
    tcp_keepalive=True,
)


def create_client() -> "DynamoDBClient":
    """Make the process's client.

    With botocore's default timeouts of 60 s one black-holed socket would use up an invocation.  Its mode ``standard``
    stops retrying in a process that has seen many failures, until as many calls have succeeded, replays and other
    refused transactions not counted; ``legacy`` tries each call as often as the last.
    A botocore session starts faster than ``boto3.client``, which imports S3 transfers too.
    """
    session = botocore.session.get_session()
    return cast("DynamoDBClient", session.create_client("dynamodb", config=CLIENT_CONFIG))


class Table:
    """Reads and transactions.

    Every method raises ``ServiceUnavailable`` when the database stays out of reach or throttled after the retries,
    and lets any other ``ClientError`` pass: it is a defect.

    Args:
        client: From ``create_client``.
        name: The table's name.
        sleep: Waits for a number of seconds between attempts.
    """

    def __init__(self, client: "DynamoDBClient", name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        """Return an item, strongly consistent."""
        with _reachable():
            answer = self._client.get_item(TableName=self._name, Key=_marshal(key._asdict()), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else _unmarshal(item)

    def query(self, pk: str, first_sk: str = " ", last_sk: str = "\uffff") -> list[Item]:
        """Return the items of a partition in the order of their sort keys, strongly consistent.

        Args:
            pk: The partition.
            first_sk: The first sort key to return.
            last_sk: The last sort key to return.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": _marshal({":pk": pk, ":first": first_sk, ":last": last_sk}),
            "ConsistentRead": True,
        }
        items: list[Item] = []
        while True:
            with _reachable():
                answer = self._client.query(**request)
            items += [_unmarshal(attributes) for attributes in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return items
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return those of up to 100 items that are there, strongly consistent, in one request.

        Raises:
            ServiceUnavailable: Also when the database leaves keys unprocessed after the retries.
        """
        found: dict[Key, Item] = {}
        wanted: Sequence[Mapping[str, Any]] = [_marshal(key._asdict()) for key in keys]
        for _ in self._attempts():
            with _reachable():
                answer = self._client.batch_get_item(
                    RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}}
                )
            for attributes in answer["Responses"].get(self._name, []):
                item = _unmarshal(attributes)
                found[Key(str(item["pk"]), str(item["sk"]))] = item
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._name)
            if not unprocessed:
                return found
            wanted = unprocessed["Keys"]
        raise ServiceUnavailable

    def transact(self, actions: Mapping[str, Action]) -> dict[str, Item | None]:
        """Do all the actions, or none of them.

        Args:
            actions: Each under a name of the caller's choice, on different items.

        Returns:
            Empty when all is done.  Else nothing is done, and the names of the actions whose condition failed, each
            with the item that stood there (``None``: there was none).
        """
        request = [
            {kind: {**parameters, "TableName": self._name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
            for action in actions.values()
            for kind, parameters in action.items()
        ]
        for _ in self._attempts():
            try:
                with _reachable():
                    self._client.transact_write_items(TransactItems=cast("Any", request))
            except self._client.exceptions.TransactionCanceledException as cancelled:
                reasons = cancelled.response["CancellationReasons"]
                codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
                if codes <= {_CONDITION_FAILED}:
                    return {
                        name: _unmarshal(reason["Item"]) if reason.get("Item") else None
                        for name, reason in zip(actions, reasons, strict=True)
                        if reason.get("Code") == _CONDITION_FAILED
                    }
                if not codes <= _PASSING | {_CONDITION_FAILED}:
                    raise
            else:
                return {}
        raise ServiceUnavailable

    def _attempts(self) -> Iterator[None]:
        delay = _FIRST_DELAY_SECONDS
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(random.uniform(0, delay))  # noqa: S311 - jitter
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
            yield


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        response = cast("dict[str, Any]", error.response)
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if response["Error"].get("Code") in _PASSING or status >= 500:  # noqa: PLR2004
            raise ServiceUnavailable from error
        raise
    except (ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError) as error:
        raise ServiceUnavailable from error


def _with_key(key: Key, item: Item) -> Item:
    return {**key._asdict(), **item}


def _marshal(item: Item) -> dict[str, Any]:
    return {name: {"BOOL": value} if isinstance(value, bool) else {"S": value} for name, value in item.items()}


def _unmarshal(attributes: Mapping[str, Any]) -> Item:
    return {name: next(iter(value.values())) for name, value in attributes.items()}
