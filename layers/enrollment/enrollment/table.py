"""The one DynamoDB table: its keys, its reads and its transactions.

Everything of a workspace has a partition key that begins with ``WORKSPACE#<workspace_id>#``, so an id of another
workspace is an id that does not exist.  Items hold strings, booleans and sets of strings only.

A list is never a Scan: what can be listed has an entry in a listing, a partition of its own whose sort keys are in the
list's order.  An entry holds nothing but its key, so it is written once and never has to be kept true.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionError,  # noqa: A004
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from enrollment.credentials import CredentialsOfContainer
from enrollment.deadline import seconds_left
from enrollment.errors import NoAccessToDatabase, ServiceUnavailable
from enrollment.settings import client_options, has_credentials_of_container

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Value = str | bool | frozenset[str]
type Item = Mapping[str, Value]
type Action = dict[str, dict[str, Any]]

# Error codes that pass by themselves.  botocore retries them at the level of a call, but not inside a cancelled
# transaction, where they stand as reasons and where TransactionConflict joins them.
_PASSING = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestAbortedException",
        "RequestLimitExceeded",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# Error codes that refuse the function itself: its credentials, its role, the table's key or the table's name.  The list
# is that of DynamoDB's API reference ("Common errors") and of its developer guide ("Error handling"), which spell some
# of them differently; docs/decisions/failures.md says why each is here.
_NO_ACCESS = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)
_KMS_CODE_PREFIX = "KMS"
# Statuses of a proxy or endpoint on the way.  DynamoDB's own errors have 400 or 5xx.
_ON_THE_WAY = frozenset({401, 403, 407, 408, 429})
_CONDITION_FAILED = "ConditionalCheckFailed"

# Failures after which there is no usable answer.  A truncated answer fails its checksum, and cannot even be decoded if
# it ends within a character.
_NO_ANSWER = (
    ChecksumError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    ResponseParserError,
    UnicodeDecodeError,
)
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError)

# What DynamoDB takes in one request.
MOST_KEYS = 100
MOST_ACTIONS = 100

# Full jitter, doubling from 25 ms to 400 ms: at most 1.6 s of waiting, well below the functions' timeout.
_ATTEMPTS = 8
_FIRST_DELAY_SECONDS = 0.025
_LONGEST_DELAY_SECONDS = 0.4

# From the operating system: processes that start from one snapshot have one state of Python's own generator, and would
# all wait for the same time.
_random = random.SystemRandom()


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


def unique_key(workspace_id: str, attribute: str, value: str) -> Key:
    """Return the key of the item that keeps an attribute's value for one user identity of the workspace.

    Args:
        workspace_id: The workspace.
        attribute: The attribute, for instance ``email_address``.
        value: Its value, in the one way in which equal values are written.
    """
    return Key(_partition(workspace_id, f"UNIQUE_{attribute.upper()}", value), f"UNIQUE_{attribute.upper()}")


def acs_user_match_key(workspace_id: str, acs_system_id: str, attribute: str, value: str, acs_user_id: str) -> Key:
    """Return the key of the entry that finds a system's ACS user by an email address or a phone number."""
    system = acs_system_key(workspace_id, acs_system_id).pk
    return Key(f"{system}#ACS_USERS_BY_{attribute.upper()}#{value}", acs_user_id)


def user_identity_listing_key(workspace_id: str, created_at: str, user_identity_id: str) -> Key:
    """Return the key of a user identity's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#USER_IDENTITIES", f"{created_at}#{user_identity_id}")


def enrolled_listing_key(workspace_id: str, acs_system_id: str, user_identity_id: str) -> Key:
    """Return the key of a user identity's entry among those enrolled with a credential manager.

    By id: ids are random, so DynamoDB can split the partition when a building's whole staff is enrolled at once.
    """
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#USER_IDENTITIES", user_identity_id)


def acs_user_listing_key(workspace_id: str, created_at: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#ACS_USERS", f"{created_at}#{acs_user_id}")


def acs_user_of_system_listing_key(workspace_id: str, acs_system_id: str, created_at: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user's entry among those of its system, by age."""
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#ACS_USERS", f"{created_at}#{acs_user_id}")


def acs_system_listing_key(workspace_id: str, created_at: str, acs_system_id: str) -> Key:
    """Return the key of an ACS system's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#ACS_SYSTEMS", f"{created_at}#{acs_system_id}")


def credential_manager_listing_key(workspace_id: str, created_at: str, acs_system_id: str) -> Key:
    """Return the key of a credential manager's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#CREDENTIAL_MANAGERS", f"{created_at}#{acs_system_id}")


def acs_credential_pool_listing_key(
    workspace_id: str, acs_system_id: str, created_at: str, acs_credential_pool_id: str
) -> Key:
    """Return the key of a credential pool's entry among those of its system, by age."""
    system = acs_system_key(workspace_id, acs_system_id).pk
    return Key(f"{system}#ACS_CREDENTIAL_POOLS", f"{created_at}#{acs_credential_pool_id}")


def listed_id(sk: str) -> str:
    """Return the id that an entry of a listing stands for."""
    return sk.rpartition("#")[2]


def token_key(short: str) -> Key:
    """Return the key of a token's record."""
    return Key(f"TOKEN#{short}", "TOKEN")


def token_listing_key(short: str) -> Key:
    """Return the key of the item that lists a token: one partition, written to only when a token is issued."""
    return Key("TOKENS", short)


def page_cursor_key() -> Key:
    """Return the key of the secret that page cursors are sealed with."""
    return Key("SECRET#PAGE_CURSOR", "SECRET")


def elements(value: object) -> list[str]:
    """Return a set's elements in order; an absent attribute has none."""
    return sorted(value) if isinstance(value, frozenset) else []


def workspace_prefix(workspace_id: str) -> str:
    """Return what the partition keys of all that is in a workspace begin with."""
    return f"WORKSPACE#{workspace_id}#"


def _partition(workspace_id: str, kind: str, identifier: str) -> str:
    return f"{workspace_prefix(workspace_id)}{kind}#{identifier}"


def put(key: Key, item: Item) -> Action:
    """Put an item, whatever is there."""
    return {"Put": {"Item": _marshal(_with_key(key, item))}}


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


def require(key: Key, where: Mapping[str, Value | None] = MappingProxyType({})) -> Action:
    """Require that an item is there.

    Args:
        key: The item's key.
        where: Values that attributes must have; ``None`` is to be absent.
    """
    return {"ConditionCheck": {"Key": _marshal(key._asdict()), **_conditions(where)}}


def require_absent(key: Key) -> Action:
    """Require that an item is not there."""
    return {"ConditionCheck": {"Key": _marshal(key._asdict()), "ConditionExpression": "attribute_not_exists(pk)"}}


def change(  # noqa: PLR0913 - DynamoDB's four kinds of change, and a condition
    key: Key,
    *,
    assign: Item = MappingProxyType({}),
    remove: Sequence[str] = (),
    add: Mapping[str, frozenset[str]] = MappingProxyType({}),
    discard: Mapping[str, frozenset[str]] = MappingProxyType({}),
    where: Mapping[str, Value | None] = MappingProxyType({}),
) -> Action:
    """Change an item that is there.

    Args:
        key: The item's key.
        assign: Attributes to set.
        remove: Attributes to remove.
        add: Elements to add to sets.
        discard: Elements to take from sets; a set without elements is absent.
        where: Values that attributes must have before; ``None`` is to be absent.
    """
    condition = _conditions(where)
    names, values = condition["ExpressionAttributeNames"], condition.get("ExpressionAttributeValues", {})
    clauses: dict[str, list[str]] = {}
    for verb, changes in (("SET", assign), ("ADD", add), ("DELETE", discard)):
        for attribute, value in changes.items():
            placeholder = f"c{len(names)}"
            names[f"#{placeholder}"] = attribute
            values |= _marshal({f":{placeholder}": value})
            clauses.setdefault(verb, []).append(f"#{placeholder} {'= ' if verb == 'SET' else ''}:{placeholder}")
    for attribute in remove:
        placeholder = f"#c{len(names)}"
        names[placeholder] = attribute
        clauses.setdefault("REMOVE", []).append(placeholder)
    expression = " ".join(f"{verb} {', '.join(changes)}" for verb, changes in clauses.items())
    update = {"Key": _marshal(key._asdict()), "UpdateExpression": expression, **condition}
    return {"Update": update | ({"ExpressionAttributeValues": values} if values else {})}


def claim(key: Key, attribute: str, value: str, *, where: Mapping[str, Value | None]) -> Action:
    """Set an attribute that is absent or has that value already.

    Args:
        key: The item's key; it must exist.
        attribute: The attribute to set.
        value: Its value.
        where: Values that other attributes must have; ``None`` is to be absent.
    """
    condition = _conditions(where)
    return {
        "Update": {
            "Key": _marshal(key._asdict()),
            "UpdateExpression": "SET #a = :a",
            "ConditionExpression": f"{condition['ConditionExpression']} AND (attribute_not_exists(#a) OR #a = :a)",
            "ExpressionAttributeNames": {**condition["ExpressionAttributeNames"], "#a": attribute},
            "ExpressionAttributeValues": {
                **condition.get("ExpressionAttributeValues", {}),
                **_marshal({":a": value}),
            },
        }
    }


def delete(key: Key, where: Mapping[str, Value | None] | None = None) -> Action:
    """Delete an item.

    Args:
        key: The item's key.
        where: The item must be there, and attributes have these values (``None`` is to be absent).  Without it, an item
            that is not there is as good.
    """
    condition = {} if where is None else _conditions(where)
    return {"Delete": {"Key": _marshal(key._asdict()), **condition}}


def _conditions(where: Mapping[str, Value | None]) -> dict[str, Any]:
    clauses, names, values = ["attribute_exists(#pk)"], {"#pk": "pk"}, {}
    for attribute, value in where.items():
        placeholder = f"w{len(names)}"
        names[f"#{placeholder}"] = attribute
        if value is None:
            clauses.append(f"attribute_not_exists(#{placeholder})")
        else:
            clauses.append(f"#{placeholder} = :{placeholder}")
            values[f":{placeholder}"] = value
    return {
        "ConditionExpression": " AND ".join(clauses),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": _marshal(values)} if values else {}),
    }


_NEVER = logging.CRITICAL + 1
_CONNECT_SECONDS = 0.5
_READ_SECONDS = 2
CLIENT_CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    # Every request is made in this module, and what is wrong with one DynamoDB would say: looking at each value first
    # takes a tenth of a call.
    parameter_validation=False,
    read_timeout=_READ_SECONDS,
    retries={"mode": "legacy", "total_max_attempts": 3},
    tcp_keepalive=True,
    # botocore puts its own together for each request, from the same parts.
    user_agent=f"enrollment-automations Botocore/{botocore.__version__}",
)


def create_client() -> "DynamoDBClient":
    """Make the process's client.

    With botocore's default timeouts of 60 s one black-holed socket would use up an invocation.  Its mode ``standard``
    stops retrying in a process that has seen many failures, until as many calls have succeeded, replays and other
    refused transactions not counted; ``legacy`` tries each call as often as the last.
    A botocore session starts faster than ``boto3.client``, which imports S3 transfers too.
    """
    # They log exceptions with their texts, for instance when credentials cannot be renewed; Lambda would keep them.
    for library in ("botocore", "urllib3"):
        logging.getLogger(library).setLevel(_NEVER)
    session = botocore.session.get_session()
    if has_credentials_of_container():
        session.register_component("credential_provider", CredentialsOfContainer())
    options = client_options()
    config = CLIENT_CONFIG.merge(Config(**options.pop("config")))
    client = cast("DynamoDBClient", session.create_client("dynamodb", config=config, **options))
    client.meta.events.register_first("before-send.dynamodb", _send_in_time)
    return client


def _send_in_time(request: Any, **_: object) -> None:
    """Bound an attempt, whether the first or one that botocore makes by itself, by the invocation's time."""
    # At its worst it waits for a connection, and then for the answer.
    left = seconds_left() - _CONNECT_SECONDS
    if left <= 0:
        raise ServiceUnavailable from TimeoutError("the invocation's time ends")
    if left < _READ_SECONDS:
        request.context["read_timeout"] = left


class Table:
    """Reads and transactions.

    Every method raises ``ServiceUnavailable`` when the database stays out of reach or throttled after the retries, when
    there are no credentials for it, or when the invocation's time has no room for another request;
    ``NoAccessToDatabase``, which is one, when the database does not let this function in.  Any other ``ClientError``
    passes: it is a defect.

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
        with _reachable:
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
        return list(self.walk(pk, first_sk, last_sk))

    def walk(  # noqa: PLR0913 - where to begin, to end, and how
        self,
        pk: str,
        first_sk: str = " ",
        last_sk: str = "\uffff",
        *,
        after: str | None = None,
        backwards: bool = False,
        at_once: int | None = None,
    ) -> Iterator[Item]:
        """Yield the items of a partition, strongly consistent, reading on as they are taken.

        Args:
            pk: The partition.
            first_sk: The first sort key to yield.
            last_sk: The last sort key to yield.
            after: Begin behind this sort key, whether there is such an item or not.
            backwards: From the last to the first.
            at_once: How many items to read with a request; as many as fit into 1 MB by default.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": _marshal({":pk": pk, ":first": first_sk, ":last": last_sk}),
            "ConsistentRead": True,
            "ScanIndexForward": not backwards,
        }
        if at_once is not None:
            request["Limit"] = at_once
        if after is not None:
            request["ExclusiveStartKey"] = _marshal(Key(pk, after)._asdict())
        return self._pages(self._client.query, request)

    def scan(self, pk_prefix: str) -> Iterator[Item]:
        """Yield the items whose partition key begins with a text, strongly consistent, in no order.

        It reads the whole table, so it is for an operator's command and for no function.
        """
        request = {
            "TableName": self._name,
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": _marshal({":prefix": pk_prefix}),
            "ConsistentRead": True,
        }
        return self._pages(self._client.scan, request)

    def _pages(self, read: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
        while True:
            with _reachable:
                answer = read(**request)
            yield from map(_unmarshal, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def get_all(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Return those of any number of items that are there, strongly consistent, in requests of 100."""
        found: dict[Key, Item] = {}
        for wanted in batched(dict.fromkeys(keys), MOST_KEYS, strict=False):
            found |= self.batch_get(wanted)
        return found

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return those of up to 100 different items that are there, strongly consistent, in one request.

        Raises:
            ServiceUnavailable: Also when the database leaves keys unprocessed after the retries.
        """
        found: dict[Key, Item] = {}
        wanted: Sequence[Mapping[str, Any]] = [_marshal(key._asdict()) for key in keys]
        for _ in self._attempts():
            with _reachable:
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
                with _reachable:
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
                wait = _random.uniform(0, delay)
                if wait >= seconds_left():
                    return
                self._sleep(wait)
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
            yield


class _Reachable:
    """Raises ``ServiceUnavailable`` instead of what says that the database is not there."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ClientError):
            response = cast("dict[str, Any]", error.response)
            code = str(response["Error"].get("Code"))
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _NO_ACCESS or code.startswith(_KMS_CODE_PREFIX):
                raise NoAccessToDatabase from error
            if code in _PASSING or status >= 500 or status in _ON_THE_WAY:  # noqa: PLR2004
                raise ServiceUnavailable from error
        elif isinstance(error, _NO_ANSWER):
            raise ServiceUnavailable from error
        elif isinstance(error, _NO_CREDENTIALS):
            raise NoAccessToDatabase from error


_reachable = _Reachable()


def _with_key(key: Key, item: Item) -> Item:
    return {**key._asdict(), **item}


def _marshal(item: Item) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    return {"SS": sorted(value)}


def _unmarshal(attributes: Mapping[str, Any]) -> Item:
    item = {}
    for name, attribute in attributes.items():
        ((kind, value),) = attribute.items()
        item[name] = frozenset(value) if kind == "SS" else value
    return item
