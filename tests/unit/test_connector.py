"""What a connector is sent, and what its answers mean."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from enrollment.managers.connector import Connector
from enrollment.managers.protocol import (
    BusyError,
    NoAccessError,
    NoUsableAnswerError,
    Request,
    RequestType,
    ask_about_manager,
    ask_about_phone,
)
from enrollment.outbound.https import Attempt

OLD, NEW, OTHER = "whsec_b2xkLXNlY3JldA==", "whsec_bmV3LXNlY3JldA==", "whsec_b3RoZXI="  # pragma: allowlist secret
CHECK = Request("an-id", RequestType.MANAGER_CHECK, {"é": 1})
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Owner:
    """Gives one answer to whatever comes, and keeps what came."""

    answer: Attempt = field(default_factory=lambda: Attempt(200, None, 0.1, b"{}"))
    came: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        self.came.append((url, body, headers))
        return self.answer


def answering(
    status: int | None, body: bytes = b"{}", failure: str | None = None, retry_after: str | None = None
) -> Connector:
    owner = Owner(Attempt(status, failure, 0.1, body, retry_after))
    return Connector(owner.post, "https://example.com/", [OLD], now=lambda: NOW)


def test_a_request_is_signed_by_each_secret_that_counts() -> None:
    owner = Owner()

    Connector(owner.post, "https://example.com/c", [NEW, OLD]).ask(CHECK)

    ((url, body, headers),) = owner.came
    assert (url, json.loads(body)) == ("https://example.com/c", {"type": "manager.check", "data": {"é": 1}})
    assert headers["webhook-id"] == "an-id"
    for secret in (OLD, NEW):
        Webhook(secret).verify(body, dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, dict(headers))


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_2xx_is_an_answer(status: int) -> None:
    assert answering(status, b'{"one_step": true}').ask(CHECK) == {"one_step": True}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("9" * 5000, 9_999_999_999),
        ("Mon, 30 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 30 Nov 2026 12:01:00 -0000", 60),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        (None, None),
    ],
)
def test_a_busy_connector_can_say_for_how_long(status: int, retry_after: str | None, seconds: float | None) -> None:
    with pytest.raises(BusyError) as busy:
        answering(status, retry_after=retry_after).ask(CHECK)

    assert busy.value.retry_after == seconds


@pytest.mark.parametrize("status", [401, 403])
def test_a_connector_can_let_nobody_in(status: int) -> None:
    with pytest.raises(NoAccessError):
        answering(status).ask(CHECK)


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (Attempt(None, "timeout", 10), "timeout"),
        (Attempt(None, "tls", 1), "tls"),
        (Attempt(None, "forbidden_address", 0), "forbidden_address"),
        (Attempt(302, None, 1, b"{}"), "status_302"),
        (Attempt(404, None, 1, b"{}"), "status_404"),
        (Attempt(500, None, 1, b"{}"), "status_500"),
        (Attempt(200, None, 1, b""), "not_json"),
        (Attempt(200, None, 1, b"<html>"), "not_json"),
        (Attempt(200, None, 1, b"\xff\xfe{}"), "not_json"),
        (Attempt(200, None, 1, b'{"x": NaN}'), "not_json"),
        (Attempt(200, None, 1, b'{"x": 1' + b"0" * 5000 + b"}"), "not_json"),
        (Attempt(200, None, 1, b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "not_json"),
        (Attempt(200, None, 1, b"[]"), "not_the_protocol"),
        (Attempt(200, None, 1, b"null"), "not_the_protocol"),
    ],
    ids=lambda one: None if isinstance(one, Attempt) else one,
)
def test_anything_else_is_no_usable_answer_and_says_why(answer: Attempt, because: str) -> None:
    connector = Connector(Owner(answer).post, "https://example.com/", [OLD])

    with pytest.raises(NoUsableAnswerError) as unusable:
        connector.ask(CHECK)

    assert unusable.value.because == because


@pytest.mark.parametrize(
    "answer",
    [
        {"keeps_validity": "yes"},
        {"one_step": 1},
        {"pools": {"a": 1}},
        {"pools": [{"available": 1}]},
        {"pools": [{"pool": ""}]},
        {"pools": [{"pool": "\ud800"}]},
        {"pools": [{"pool": "a", "available": -1}]},
        {"pools": [{"pool": "a"}] * 1001},
    ],
    ids=lambda answer: json.dumps(answer)[:40],
)
def test_an_answer_about_a_manager_that_is_not_of_the_protocol_is_not_used(answer: dict[str, object]) -> None:
    with pytest.raises(NoUsableAnswerError) as unusable:
        ask_about_manager(answering(200, json.dumps(answer).encode()), CHECK)

    assert unusable.value.because == "not_the_protocol"


class Deep:
    """Answers with an object that is nested so deeply that it cannot be written."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self, _: Request) -> Mapping[str, object]:
        inner: dict[str, object] = {}
        for _depth in range(200_000):
            inner = {"a": inner}
        return {"state": "active", self._name: inner}


@pytest.mark.parametrize("name", ["app", "memo"])
def test_an_object_that_is_nested_too_deeply_is_not_used(name: str) -> None:
    with pytest.raises(NoUsableAnswerError):
        ask_about_phone(Deep(name), Request("an-id", RequestType.PHONE_STATUS, {}))


def test_a_memo_counts_as_it_is_written() -> None:
    memo = {"name": "é" * 1000}  # 2 kB in UTF-8, but 6 kB with escapes
    request = Request("an-id", RequestType.PHONE_STATUS, {})

    answer = ask_about_phone(answering(200, json.dumps({"state": "active", "memo": memo}).encode()), request)

    assert answer.memo == memo
