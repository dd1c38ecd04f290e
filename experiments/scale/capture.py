"""The requests that a call makes of DynamoDB: what they touch, what that costs, and what the server says of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from enrollment.store.keys import Key
from experiments.scale.units import Attributes, item_size, read_units, write_units

WHOLE_PARTITION = "*"


@dataclass(frozen=True, slots=True)
class Touch:
    """The effect of a request on an item.

    Attributes:
        key: The item's key; a query reads ``WHOLE_PARTITION``.
        units: What it costs.
        is_write: In units of writing, else of reading.
    """

    key: Key
    units: float
    is_write: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A request of DynamoDB.

    Attributes:
        operation: Its name.
        touches: What it does, item by item.
        reported: The units that the server says it took.
    """

    operation: str
    touches: tuple[Touch, ...]
    reported: float = 0

    @property
    def is_transaction(self) -> bool:
        """Whether it holds its items against others."""
        return self.operation == "TransactWriteItems"

    def units(self, *, is_write: bool) -> float:
        """Return what it costs, by the rules."""
        return sum(touch.units for touch in self.touches if touch.is_write is is_write)


def units_of(requests: Sequence[Request], *, is_write: bool) -> float:
    """Return what several requests cost, by the rules."""
    return sum(request.units(is_write=is_write) for request in requests)


@contextmanager
def captured(client: Any, other_client: Any) -> Iterator[list[Request]]:
    """Note the requests of a client, one call at a time, until the context ends.

    Args:
        client: The client.
        other_client: A second one of the same server, for looking at what is there before and after.
    """
    capture = _Capture(other_client)
    events = client.meta.events
    events.register_first("provide-client-params.dynamodb", capture.before)
    events.register_last("after-call.dynamodb", capture.after)
    try:
        yield capture.requests
    finally:
        events.unregister("provide-client-params.dynamodb", capture.before)
        events.unregister("after-call.dynamodb", capture.after)


class _Capture:
    def __init__(self, client: Any) -> None:
        self.requests: list[Request] = []
        self._client = client
        self._parameters: dict[str, Any] = {}
        self._sizes: dict[Key, int] = {}

    def before(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        self._parameters = params
        self._sizes = {key: self._size(table, key) for table, key in _written(params)}
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def after(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        reports = [consumed] if isinstance(consumed, dict) else consumed
        touches = self._touches(model.name, parsed)
        self.requests.append(Request(model.name, tuple(touches), sum(report["CapacityUnits"] for report in reports)))

    def _touches(self, operation: str, answer: dict[str, Any]) -> Iterator[Touch]:
        parameters = self._parameters
        match operation:
            case "GetItem":
                units = read_units(item_size(answer.get("Item")), is_consistent=parameters["ConsistentRead"])
                yield Touch(_key(parameters["Key"]), units, is_write=False)
            case "BatchGetItem":
                for table, wanted in parameters["RequestItems"].items():
                    sizes = {_key(item): item_size(item) for item in answer["Responses"].get(table, [])}
                    for key in map(_key, wanted["Keys"]):
                        units = read_units(sizes.get(key, 0), is_consistent=wanted["ConsistentRead"])
                        yield Touch(key, units, is_write=False)
            case "Query":
                size = sum(map(item_size, answer["Items"]))
                partition = parameters["ExpressionAttributeValues"][":pk"]["S"]
                units = read_units(size, is_consistent=parameters["ConsistentRead"])
                yield Touch(Key(partition, WHOLE_PARTITION), units, is_write=False)
            case "TransactWriteItems":
                for table, key in _written(parameters):
                    units = write_units(self._sizes[key], self._size(table, key), in_transaction=True)
                    yield Touch(key, units, is_write=True)
            case _:
                raise ValueError(f"the package makes no such request: {operation}")

    def _size(self, table: str, key: Key) -> int:
        stored = {name: {"S": value} for name, value in key._asdict().items()}
        answer = self._client.get_item(TableName=table, Key=stored, ConsistentRead=True)
        return item_size(answer.get("Item"))


def _written(parameters: dict[str, Any]) -> Iterator[tuple[str, Key]]:
    """Yield the table and the key of each of a transaction's actions."""
    for action in parameters.get("TransactItems", []):
        ((kind, what),) = action.items()
        yield what["TableName"], _key(what["Item" if kind == "Put" else "Key"])


def _key(item: Attributes) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


def each(call: Callable[[], object], client: Any, other_client: Any) -> list[Request]:
    """Return the requests of one call."""
    with captured(client, other_client) as requests:
        call()
    return requests
