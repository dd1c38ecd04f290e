"""The one DynamoDB table: its reads, its transactions, and what is retried."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import batched
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from enrollment.aws.deadline import seconds_left
from enrollment.errors import NoAccessToDatabase, ServiceUnavailable
from enrollment.store.actions import Action, change
from enrollment.store.attributes import Item, marshal, unmarshal
from enrollment.store.keys import Key, key_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Errors that are over after a while.  botocore retries a call that fails with one of them.  It does not retry a
# transaction that was cancelled for one of them, and TransactionConflict is only such a reason.
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

# Errors that refuse the function itself: its credentials, its role, the table's key or the table's name.  They are from
# DynamoDB's API reference ("Common errors") and developer guide ("Error handling"), which spell some differently.
# docs/decisions/failures.md says why each is here.
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

# Statuses that a proxy on the way answers with.  DynamoDB's own errors have 400 or 5xx.
_ON_THE_WAY = frozenset({401, 403, 407, 408, 429})
_CONDITION_FAILED = "ConditionalCheckFailed"

# Failures that mean there is no usable answer.  A truncated answer fails its checksum; if it ends within a character,
# it cannot be decoded.
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

# The most keys that DynamoDB takes in one request.
MOST_KEYS = 100
# DynamoDB takes 100 actions in one transaction.  One place is kept for the guard of ``Table.guarded_by``.
MOST_ACTIONS = 99
MOST_DELETIONS = 25
# Without a limit, DynamoDB Local looks at all items for each page of 1 MB, which takes seconds in a large table.
_SCANNED_AT_ONCE = 2000

# Full jitter, doubling from 25 ms to 400 ms: at most 1.6 s of waiting, well below the functions' timeout.
_ATTEMPTS = 8
_FIRST_DELAY_SECONDS = 0.025
_LONGEST_DELAY_SECONDS = 0.4

# Randomness of the operating system.  Processes that start from one snapshot share the state of Python's own generator,
# so they would all wait for the same time.
_random = random.SystemRandom()


class GuardFailedError(Exception):
    """The guard of a table did not hold, so nothing was written."""


class Table:
    """Reads and transactions.

    Every method raises ``ServiceUnavailable`` if the database stays out of reach or throttled after the retries, or if
    the invocation's time has no room for another request.  It raises ``NoAccessToDatabase``, a kind of it, if there are
    no credentials, or if the database does not let this function in.  Any other ``ClientError`` is a defect and passes.

    Args:
        client: From ``create_client``.
        name: The table's name.
        sleep: Waits for a number of seconds between attempts.
        draw: Returns a random number between two, which is how long to wait.
        guard: See ``guarded_by``.

    Attributes:
        client: The client.
        name: The table's name.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[float, float], float] = _random.uniform,
        guard: Mapping[str, Action] = MappingProxyType({}),
    ) -> None:
        self.client = client
        self.name = name
        self._sleep = sleep
        self._draw = draw
        self._guard = guard

    def guarded_by(self, guard: Mapping[str, Action]) -> "Table":
        """Return this table with a guard: conditions that each of its transactions has, besides its own.

        Operators' commands use it, so that none of them writes into a workspace that is being deleted.  Functions do
        not, because all their transactions would share an item.

        Args:
            guard: The checks, each under a name that no transaction uses.  One always finds room in a transaction;
                with more of them, a transaction can have fewer actions of its own.

        Returns:
            A table whose ``transact`` raises ``GuardFailedError`` if a check fails.
        """
        return Table(self.client, self.name, sleep=self._sleep, draw=self._draw, guard=guard)

    def get(self, key: Key) -> Item | None:
        """Return an item, by a strongly consistent read; ``None`` if there is none."""
        with _reachable:
            answer = self.client.get_item(TableName=self.name, Key=marshal(key._asdict()), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else unmarshal(item)

    def query(self, pk: str, first_sk: str = " ", last_sk: str = "\uffff") -> list[Item]:
        """Return the items of a partition in the order of their sort keys, by strongly consistent reads.

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
        """Yield the items of a partition, by strongly consistent reads; more is read as they are taken.

        Args:
            pk: The partition.
            first_sk: The first sort key to yield.
            last_sk: The last sort key to yield.
            after: The sort key behind which to begin; it need not exist.
            backwards: Whether to yield the last first.
            at_once: How many items to read with one request; by default as many as fit into 1 MB.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": marshal({":pk": pk, ":first": first_sk, ":last": last_sk}),
            "ConsistentRead": True,
            "ScanIndexForward": not backwards,
        }
        if at_once is not None:
            request["Limit"] = at_once
        if after is not None:
            request["ExclusiveStartKey"] = marshal(Key(pk, after)._asdict())
        return self._pages(self.client.query, request)

    def scan(self, *pk_prefixes: str) -> Iterator[Item]:
        """Yield the items whose partition key begins with one of some texts, by strongly consistent reads, in no order.

        It reads the whole table, so only an operator's command may use it, and never a function.

        Args:
            pk_prefixes: The texts, one at least.
        """
        prefixes: Item = {f":prefix{index}": prefix for index, prefix in enumerate(pk_prefixes)}
        request = {
            "TableName": self.name,
            "FilterExpression": " OR ".join(f"begins_with(pk, {name})" for name in prefixes),
            "ExpressionAttributeValues": marshal(prefixes),
            "ConsistentRead": True,
            "Limit": _SCANNED_AT_ONCE,
        }
        return self._pages(self.client.scan, request)

    def delete_all(self, keys: Iterable[Key]) -> None:
        """Delete any number of items, whether or not they are there, 25 with a request.

        It is half the price of transactions.  It has no conditions, and no guard.  Only an operator's command may use
        it, and never a function.

        Args:
            keys: The items' keys, each once.

        Raises:
            ServiceUnavailable: The database leaves items unprocessed after the retries too.  Some may be deleted.
        """
        for some in batched(keys, MOST_DELETIONS, strict=False):
            self._delete_some(some)

    def _delete_some(self, keys: Sequence[Key]) -> None:
        deletions: Sequence[Any] = [{"DeleteRequest": {"Key": marshal(key._asdict())}} for key in keys]
        for _ in self._attempts():
            with _reachable:
                answer = self.client.batch_write_item(RequestItems={self.name: deletions})
            deletions = answer.get("UnprocessedItems", {}).get(self.name, [])
            if not deletions:
                return
        raise ServiceUnavailable

    def _pages(self, read: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
        while True:
            with _reachable:
                answer = read(**request)
            yield from map(unmarshal, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def get_all(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Return the items that exist of any number of keys, by strongly consistent reads, 100 keys with a request."""
        found: dict[Key, Item] = {}
        for wanted in batched(dict.fromkeys(keys), MOST_KEYS, strict=False):
            found |= self.batch_get(wanted)
        return found

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return the items that exist of up to 100 different keys, by one strongly consistent read.

        Raises:
            ServiceUnavailable: The database leaves keys unprocessed after the retries too.
        """
        found: dict[Key, Item] = {}
        wanted: Sequence[Mapping[str, Any]] = [marshal(key._asdict()) for key in keys]
        for _ in self._attempts():
            with _reachable:
                answer = self.client.batch_get_item(RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}})
            for attributes in answer["Responses"].get(self.name, []):
                item = unmarshal(attributes)
                found[key_of(item)] = item
            unprocessed = answer.get("UnprocessedKeys", {}).get(self.name)
            if not unprocessed:
                return found
            wanted = unprocessed["Keys"]
        raise ServiceUnavailable

    def note(self, key: Key, assign: Item) -> None:
        """Set attributes of an item if it exists, with one request that is not repeated here.

        It is for what may be lost: it has no guard, and half the price of a transaction.

        Args:
            key: The item's key.
            assign: Attributes to set.
        """
        request = change(key, assign=assign)["Update"]
        with _reachable, suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(TableName=self.name, **cast("Any", request))

    def transact(self, actions: Mapping[str, Action]) -> dict[str, Item | None]:
        """Do all of the actions, or none.

        Args:
            actions: The actions, on different items, each under a name that the caller chooses.

        Raises:
            GuardFailedError: The table has a guard, and it does not hold.

        Returns:
            An empty dictionary if all is done.  Otherwise nothing is done, and it holds the names of the actions whose
            conditions failed, each with the item that was found (``None`` if there was none).
        """
        all_actions = {**self._guard, **actions}
        request = [
            {kind: {**parameters, "TableName": self.name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
            for action in all_actions.values()
            for kind, parameters in action.items()
        ]
        for _ in self._attempts():
            try:
                with _reachable:
                    self.client.transact_write_items(TransactItems=cast("Any", request))
            except self.client.exceptions.TransactionCanceledException as cancelled:
                reasons = cancelled.response["CancellationReasons"]
                codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
                if codes <= {_CONDITION_FAILED}:
                    refused = {
                        name: unmarshal(reason["Item"]) if reason.get("Item") else None
                        for name, reason in zip(all_actions, reasons, strict=True)
                        if reason.get("Code") == _CONDITION_FAILED
                    }
                    if not self._guard.keys().isdisjoint(refused):
                        raise GuardFailedError from None
                    return refused
                if not codes <= _PASSING | {_CONDITION_FAILED}:
                    raise
            else:
                return {}
        raise ServiceUnavailable

    def _attempts(self) -> Iterator[None]:
        delay = _FIRST_DELAY_SECONDS
        for attempt in range(_ATTEMPTS):
            if attempt:
                wait = self._draw(0, delay)
                if wait >= seconds_left():
                    return
                self._sleep(wait)
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
            yield


class _Reachable:
    """Turns errors of an unreachable database into ``ServiceUnavailable``, and refusals into ``NoAccessToDatabase``."""

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
