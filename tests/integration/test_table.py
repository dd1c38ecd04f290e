"""The table under a database that fails, in the ways that botocore passes on."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from enrollment.aws.deadline import ending_before
from enrollment.errors import NoAccessToDatabase, ServiceUnavailable
from enrollment.store.actions import put_new, require
from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import Table
from tests.fixtures import TABLE_NAME, Store

HERE = Key("here", "x")
THERE = Key("there", "x")
ITEM: Item = {"name": "a", "is_good": True}

type Answers = Callable[..., list[None]]


@pytest.fixture
def answer_next(store: Store) -> Answers:
    """Return a function that makes the next requests fail, and gives a list that grows by each of them.

    An exception stands for a request that botocore could not send, anything else for DynamoDB's parsed answer.
    """

    def answer(operation: str, *failures: Any) -> list[None]:
        seen: list[None] = []
        queue: Iterator[Any] = iter(failures)

        def interfere(**_: Any) -> Any:
            seen.append(None)
            failure = next(queue, None)
            if isinstance(failure, Exception):
                raise failure
            return None if failure is None else (AWSResponse("http://x", failure[0], HTTPHeaders(), None), failure[1])

        event = "before-send" if isinstance(failures[0], Exception) else "before-call"
        store.watch(f"{event}.dynamodb.{operation}", interfere)
        return seen

    return answer


def ask(store: Store, operation: str) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "GetItem": lambda: store.table.get(HERE),
        "BatchGetItem": lambda: store.table.batch_get([HERE]),
        "TransactWriteItems": lambda: store.table.transact({"a": put_new(HERE, ITEM)}),
        "Query": lambda: store.table.query("here"),
    }
    calls[operation]()


def failed(status: int, code: str, **more: Any) -> tuple[int, dict[str, Any]]:
    error = {"Code": code, "Message": "m"}
    return status, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}, **more}


def cancelled(*codes: str) -> tuple[int, dict[str, Any]]:
    reasons = [{"Code": code} for code in codes]
    return failed(400, "TransactionCanceledException", CancellationReasons=reasons)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


def test_an_item_reads_as_it_was_put(store: Store) -> None:
    store.table.transact({"a": put_new(HERE, ITEM)})

    assert store.table.get(HERE) == {**HERE._asdict(), **ITEM}
    assert store.table.batch_get([HERE, THERE]) == {HERE: {**HERE._asdict(), **ITEM}}


def test_putting_where_something_is_changes_nothing(store: Store) -> None:
    store.table.transact({"a": put_new(HERE, ITEM)})

    assert store.table.transact({"a": put_new(HERE, {"name": "b"})})
    assert store.items() == {HERE: ITEM}


def test_a_transaction_is_done_whole(store: Store) -> None:
    assert store.table.transact({"a": put_new(HERE, ITEM), "b": put_new(THERE, ITEM)}) == {}

    assert store.items().keys() == {HERE, THERE}


def test_a_refused_transaction_names_every_failure_with_the_item_there(store: Store) -> None:
    store.table.transact({"a": put_new(HERE, ITEM)})

    refused = store.table.transact(
        {"a": put_new(HERE, ITEM), "b": put_new(THERE, ITEM), "c": require(Key("nowhere", "x"))}
    )

    assert refused == {"a": {**HERE._asdict(), **ITEM}, "c": None}
    assert store.items().keys() == {HERE}


READS: dict[str, Callable[[Table], object]] = {
    "get": lambda table: table.get(HERE),
    "get_all": lambda table: table.get_all([HERE, THERE]),
    "batch_get": lambda table: table.batch_get([HERE]),
    "query": lambda table: table.query("here"),
    "walk": lambda table: list(table.walk("here", after="a", backwards=True, at_once=1)),
    "scan": lambda table: list(table.scan("h")),
}


@pytest.mark.parametrize("method", READS)
def test_a_read_is_strongly_consistent(store: Store, method: str) -> None:
    reads = store.note_reads()

    READS[method](store.table)

    assert [read.is_consistent for read in reads] == [True]


def test_the_next_pages_of_a_read_are_strongly_consistent(store: Store) -> None:
    store.table.transact({str(number): put_new(Key("here", str(number)), ITEM) for number in range(3)})
    reads = store.note_reads()

    assert len(list(store.table.walk("here", at_once=1))) == 3

    assert {read.is_consistent for read in reads[1:]} == {True}


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "TransactionConflict",
        # As they are spelled outside a cancelled transaction.
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestAbortedException",
        "RequestLimitExceeded",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    ],
)
def test_a_transaction_in_the_way_of_another_is_tried_again(store: Store, answer_next: Answers, code: str) -> None:
    seen = answer_next("TransactWriteItems", cancelled("None", code), cancelled(code, "ConditionalCheckFailed"))

    assert store.table.transact({"a": put_new(HERE, ITEM), "b": put_new(THERE, ITEM)}) == {}
    assert len(seen) == 3


def test_waits_are_drawn_from_a_range_that_doubles_up_to_400_ms(store: Store, answer_next: Answers) -> None:
    ranges: list[tuple[float, float]] = []
    answer_next("TransactWriteItems", *[cancelled("TransactionConflict")] * 100)

    def draw(least: float, most: float) -> float:
        ranges.append((least, most))
        return least

    with pytest.raises(ServiceUnavailable):
        Table(store.client, TABLE_NAME, sleep=lambda _: None, draw=draw).transact({"a": put_new(HERE, ITEM)})

    assert ranges == [(0, 0.025), (0, 0.05), (0, 0.1), (0, 0.2), (0, 0.4), (0, 0.4), (0, 0.4)]
    assert store.items() == {}


def test_it_waits_as_long_as_was_drawn(store: Store, answer_next: Answers) -> None:
    waits: list[float] = []
    answer_next("TransactWriteItems", *[cancelled("TransactionConflict")] * 3)

    table = Table(store.client, TABLE_NAME, sleep=waits.append, draw=lambda _, most: most / 5)
    table.transact({"a": put_new(HERE, ITEM)})

    assert waits == [0.005, 0.01, 0.02]


def test_it_does_not_wait_when_the_invocations_time_would_end(store: Store, answer_next: Answers) -> None:
    waits: list[float] = []
    seen = answer_next("TransactWriteItems", *[cancelled("TransactionConflict")] * 100)

    table = Table(store.client, TABLE_NAME, sleep=waits.append, draw=lambda *_: 60)
    with ending_before(30_000), pytest.raises(ServiceUnavailable):
        table.transact({"a": put_new(HERE, ITEM)})

    assert (len(seen), waits) == (1, [])


def test_processes_from_one_snapshot_wait_for_different_times(store: Store, answer_next: Answers) -> None:
    waits: list[list[float]] = [[], []]
    answer_next("TransactWriteItems", *[cancelled("TransactionConflict")] * 100)
    state = random.getstate()

    for sleeps in waits:
        random.setstate(state)  # as a snapshot would
        with pytest.raises(ServiceUnavailable):
            Table(store.client, TABLE_NAME, sleep=sleeps.append).transact({"a": put_new(HERE, ITEM)})

    assert waits[0] != waits[1]


def test_a_cancellation_of_another_kind_is_a_defect(store: Store, answer_next: Answers) -> None:
    answer_next("TransactWriteItems", cancelled("ValidationError"))

    with pytest.raises(ClientError, match="TransactionCanceled"):
        store.table.transact({"a": put_new(HERE, ITEM)})


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="http://x"),
        ConnectTimeoutError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
        failed(500, "InternalServerError"),
        failed(503, "ServiceUnavailable"),
        failed(400, "LimitExceededException"),
        failed(400, "ProvisionedThroughputExceeded"),
        failed(400, "ProvisionedThroughputExceededException"),
        failed(400, "ReplicatedWriteConflictException"),
        failed(400, "RequestAbortedException"),
        failed(400, "RequestLimitExceeded"),
        failed(400, "RequestTimeoutException"),
        failed(400, "ThrottlingError"),
        failed(400, "ThrottlingException"),
        failed(400, "TransactionConflictException"),
        failed(400, "TransactionInProgressException"),
        CredentialRetrievalError(provider="container-role", error_msg="the endpoint is not there"),
        ResponseStreamingError(error="the answer is cut off"),
        ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
        UnicodeDecodeError("utf-8", b"\xc3", 0, 1, "the answer is cut off within a character"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["GetItem", "BatchGetItem", "TransactWriteItems", "Query"])
def test_a_database_out_of_reach_is_said_so_after_a_few_tries(
    store: Store, answer_next: Answers, operation: str, failure: Any
) -> None:
    seen = answer_next(operation, *[failure] * 100)

    with pytest.raises(ServiceUnavailable) as unavailable:
        ask(store, operation)

    assert not isinstance(unavailable.value, NoAccessToDatabase)

    assert len(seen) <= 3


def test_one_failure_is_not_noticed(store: Store, answer_next: Answers) -> None:
    seen = answer_next("TransactWriteItems", EndpointConnectionError(endpoint_url="http://x"))

    assert store.table.transact({"a": put_new(HERE, ITEM)}) == {}
    assert len(seen) == 2


@pytest.mark.parametrize(
    "code",
    [
        "ValidationException",
        "SerializationException",
        "UnknownOperationException",
        "IdempotentParameterMismatchException",
    ],
)
def test_a_defect_of_ours_is_not_taken_for_an_outage(store: Store, answer_next: Answers, code: str) -> None:
    answer_next("GetItem", failed(400, code))

    with pytest.raises(ClientError, match=code):
        store.table.get(HERE)


@pytest.mark.parametrize(
    "failure",
    [
        failed(400, "AccessDeniedException"),
        failed(400, "ExpiredTokenException"),
        failed(400, "IncompleteSignature"),
        failed(400, "IncompleteSignatureException"),
        failed(400, "InvalidClientTokenId"),
        failed(400, "InvalidSignatureException"),
        failed(400, "KMSAccessDeniedException"),
        failed(400, "KMSDisabledException"),
        failed(400, "KMSInvalidStateException"),
        failed(400, "KMSNotFoundException"),
        failed(400, "MissingAuthenticationToken"),
        failed(400, "MissingAuthenticationTokenException"),
        failed(403, "NotAuthorized"),
        failed(400, "OptInRequired"),
        failed(400, "RequestExpired"),
        failed(400, "ResourceNotFoundException"),
        failed(400, "UnrecognizedClientException"),
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["GetItem", "BatchGetItem", "TransactWriteItems", "Query"])
def test_a_database_that_lets_nobody_in_is_said_so_at_once(
    store: Store, answer_next: Answers, operation: str, failure: Any
) -> None:
    seen = answer_next(operation, failure)

    with pytest.raises(NoAccessToDatabase):
        ask(store, operation)

    assert len(seen) == 1


@pytest.mark.parametrize("status", [401, 403, 407, 408, 429])
def test_what_refuses_on_the_way_to_the_database_is_an_outage(store: Store, answer_next: Answers, status: int) -> None:
    answer_next("GetItem", *[failed(status, str(status))] * 3)

    with pytest.raises(ServiceUnavailable):
        store.table.get(HERE)


def test_keys_left_unprocessed_are_asked_for_again(store: Store, answer_next: Answers) -> None:
    store.table.transact({"a": put_new(HERE, ITEM)})
    store.table.transact({"a": put_new(THERE, ITEM)})
    half = {
        "Responses": {"table": [{"pk": {"S": "here"}, "sk": {"S": "x"}}]},
        "UnprocessedKeys": {"table": {"Keys": [{"pk": {"S": "there"}, "sk": {"S": "x"}}]}},
    }
    answer_next("BatchGetItem", (200, half))

    assert store.table.batch_get([HERE, THERE]).keys() == {HERE, THERE}


def test_keys_that_stay_unprocessed_are_an_outage(store: Store, answer_next: Answers) -> None:
    nothing = {
        "Responses": {},
        "UnprocessedKeys": {"table": {"Keys": [{"pk": {"S": "here"}, "sk": {"S": "x"}}]}},
    }
    answer_next("BatchGetItem", *[(200, nothing)] * 100)

    with pytest.raises(ServiceUnavailable):
        store.table.batch_get([HERE])


def test_a_process_that_has_seen_an_outage_goes_on_retrying(store: Store, answer_next: Answers) -> None:
    outage = [EndpointConnectionError(endpoint_url="http://x")] * 300
    seen = answer_next("GetItem", *outage)
    for _ in range(100):
        with pytest.raises(ServiceUnavailable):
            store.table.get(HERE)

    assert len(seen) == 300
