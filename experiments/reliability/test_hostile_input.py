"""Hostile requests through the functions' handlers: each gets a proper answer, soon, and changes nothing it may not.

``ENROLLMENTS_FUZZ_REQUESTS`` is how many `make test-hostile` sends.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from experiments.figures import record
from experiments.reliability.handlers import AUTHORIZER, Asked, Service, running_service
from experiments.reliability.hostile import (
    BODIES,
    MARKER,
    WITH_BODY,
    Event,
    as_text,
    minimal,
    plain,
    proxy_event,
    routes,
    token_event,
    token_event_of,
)

REQUESTS = int(os.environ.get("ENROLLMENTS_FUZZ_REQUESTS", "20000"))
ROUTES = routes()
LIST = ("/user_identities/list", "POST")
_AT_ONCE = 500  # then the table is looked at, and made what it was
_LONGEST_SECONDS = 1.0
_LONGEST_HUGE_SECONDS = 5.0
_MB = 1_000_000

QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture(autouse=True)
def unharmed_table(service: Service) -> Iterator[None]:
    yield
    assert service.restore() == []


def problems(service: Service, event: Event, longest: float = _LONGEST_SECONDS) -> list[str]:
    return judged(service, event, service.ask(event), longest)


def judged(service: Service, event: Event, asked: Asked, longest: float = _LONGEST_SECONDS) -> list[str]:
    slow = asked.seconds > longest
    # A pause of the machine does not come twice.
    if slow and (seconds := service.ask(event).seconds) > longest:
        return [*asked.problems, f"takes {seconds:.1f} s"]
    return list(asked.problems)


def drawn(random: Random) -> Event:
    """Return a hostile event of any function."""
    if random.randrange(6) == 1:
        return token_event(random)
    return proxy_event(random, *random.choice(ROUTES))


@given(random=st.randoms(use_true_random=False), route=st.sampled_from(ROUTES))
@QUIET
def test_an_odd_request_gets_a_proper_answer(service: Service, random: Random, route: tuple[str, str]) -> None:
    event = proxy_event(random, *route)
    note(as_text(event))

    assert problems(service, event) == []


@given(random=st.randoms(use_true_random=False))
@QUIET
def test_an_odd_token_gets_a_policy_and_opens_nothing(service: Service, random: Random) -> None:
    event = token_event(random)
    note(as_text(event))

    assert problems(service, event) == []


@given(header=st.text() | st.text().map(lambda text: f"Bearer {text}"))
@QUIET
def test_any_text_as_a_token_gets_a_policy(service: Service, header: str) -> None:
    assert problems(service, token_event_of(header)) == []


@pytest.mark.parametrize(("resource", "method"), [route for route in ROUTES if route[1] in WITH_BODY])
def test_a_body_that_is_none_gets_a_proper_answer(service: Service, resource: str, method: str) -> None:
    for body in BODIES:
        for is_base64 in (False, True):
            event = plain(resource, method, body=body, isBase64Encoded=is_base64)
            assert problems(service, event) == [], as_text(event)[:1000]


HUGE: dict[str, Callable[[], str]] = {
    "one string": lambda: json.dumps(MARKER * (10 * _MB // len(MARKER))),
    "a string with escapes": lambda: '{"search":"' + "\\u00e9" * (10 * _MB // 6) + '"}',
    "an array": lambda: "[" + "1," * (5 * _MB - 1) + "1]",
    "an array of objects": lambda: '{"user_identity_ids":[' + "{}," * (3 * _MB) + "{}]}",
    "an object of many keys": lambda: json.dumps({f"{MARKER}{number:090}": number for number in range(100_000)}),
    "one key many times": lambda: "{" + '"limit":1,' * _MB + '"limit":2}',
    "a long key": lambda: json.dumps({"x" * (10 * _MB): 1}),
    "a long id": lambda: json.dumps({"user_identity_id": "d" * (10 * _MB), "acs_system_id": "-" * 100}),
    "a long name": lambda: json.dumps({"full_name": "\u00e9" * _MB, "search": "x" * _MB}),
    "a long cursor": lambda: json.dumps({"page_cursor": "A" * (10 * _MB)}),
    "a long moment": lambda: json.dumps({"created_before": "2026-01-01T00:00:00." + "9" * (10 * _MB) + "Z"}),
    "a long email address": lambda: json.dumps({"email_address": "a" * (5 * _MB) + "@" + "b." * (2 * _MB)}),
    "a long number": lambda: '{"limit":' + "9" * (10 * _MB) + "}",
    "many invalid ids": lambda: json.dumps({"user_identity_ids": ["x"] * 1000, "acs_system_ids": ["x"] * 2_000_000}),
    "nothing but nesting": lambda: "[" * (10 * _MB),
    "blanks": lambda: " " * (10 * _MB) + "{}",
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("route", [LIST, ("/user_identities/create", "POST")])
def test_ten_megabytes_get_a_proper_answer_in_time(service: Service, route: tuple[str, str], name: str) -> None:
    event = plain(*route, body=HUGE[name]())

    assert problems(service, event, _LONGEST_HUGE_SECONDS) == []


@pytest.mark.parametrize("values", [["9" * 4300], ["9" * _MB], ["1"] * 100_000, ["\0" * _MB]], ids=range(4))
@pytest.mark.parametrize("name", ["limit", "page_cursor", "user_identity_ids", "search", "created_before", "other[]"])
def test_a_query_string_of_a_megabyte_gets_a_proper_answer_in_time(
    service: Service, name: str, values: list[str]
) -> None:
    event = plain(LIST[0], "GET", multiValueQueryStringParameters={name: values})

    assert problems(service, event, _LONGEST_HUGE_SECONDS) == []


@pytest.mark.parametrize(
    "header",
    [
        "x" * _MB,
        "Bearer " + "x" * _MB,
        "Bearer" + " " * _MB,
        "Bearer" + " " * _MB + "x x",
        " " * _MB,
        "Bearer ey" + "a" * _MB,
        "Bearer ey" + "a." * _MB,
        "Bearer seam_" + "1" * _MB + "_",
        "Bearer seam_" * 100_000,
        "\ud800" * _MB,
    ],
    ids=range(10),
)
def test_a_token_of_a_megabyte_is_refused_in_time(service: Service, header: str) -> None:
    assert problems(service, token_event_of(header)) == []


def test_a_good_token_and_a_good_request_get_through(service: Service) -> None:
    """The experiment is not one of refusals only."""
    statuses = Counter(service.ask(drawn(Random(seed))).status for seed in range(600))

    assert statuses.keys() >= {200, 400, 401, 404}
    assert statuses[200] > 50


def _printing(name: str) -> Callable[[Any], Any]:
    def spoil(answer: Any) -> Any:
        print(json.dumps({name: ""}))  # noqa: T201 - into the function's log
        return answer

    return spoil


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda answer: answer | {"statusCode": 500}, "is a 500"),
        (lambda answer: answer | {"body": "oops"}, "JSONDecodeError"),
        (lambda answer: answer | {"body": '{"error":{"type":"x","message":""},"ok":false}'}, "of type x"),
        (lambda answer: answer | {"body": answer["body"].replace("validation_errors", "data")}, "validation errors"),
        (lambda answer: answer | {"body": answer["body"].replace("Required", "\ud800")}, "surrogates not allowed"),
        (_printing(MARKER), "a log line tells"),
        (_printing("exception"), "logs a defect"),
        (lambda answer: answer | {"body": " " * 7_000_000 + answer["body"]}, "has 7,000,"),
    ],
    ids=range(9),
)
def test_a_planted_defect_is_noticed(
    service: Service, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], problem: str
) -> None:
    handler = service.handlers["user_identities"]

    def spoiled(event: Event, context: Any) -> Any:
        return spoil(handler(event, context))

    monkeypatch.setitem(service.handlers, "user_identities", spoiled)

    found = problems(service, plain("/user_identities/update", "POST", body="{}"))

    assert any(problem in each for each in found)


@pytest.mark.hostile
@pytest.mark.timeout(0)
def test_very_many_odd_requests_get_proper_answers(service: Service) -> None:
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    for seed in range(REQUESTS):
        event = drawn(Random(seed))
        asked = service.ask(event)
        if judged(service, event, asked):
            pytest.fail(_report(service, seed, event), pytrace=False)
        target = _target(service, event)
        statuses[target][_class_of(asked.status)] += 1
        slowest[target] = max(slowest[target], asked.seconds)
        if seed % _AT_ONCE == _AT_ONCE - 1:
            wrong = service.restore()
            assert wrong == [], f"after the requests of the seeds {seed - _AT_ONCE + 1} to {seed}"
    record(
        "hostile-input",
        f"{REQUESTS:,} hostile events, answers by status (of the authorizer, 2xx is Allow and 401 is Deny)",
        [
            {
                "target": target,
                "events": counts.total(),
                **{name: counts[name] for name in _CLASSES},
                "slowest ms": round(1000 * slowest[target]),
            }
            for target, counts in sorted(statuses.items())
        ],
    )


_CLASSES = ("2xx", "400", "401", "404", "409", "other 4xx", "5xx")


def _class_of(status: int) -> str:
    if str(status) in _CLASSES:
        return str(status)
    return {2: "2xx", 4: "other 4xx"}.get(status // 100, "5xx")


def _target(service: Service, event: Event) -> str:
    name = service.function_of(event)
    if name == AUTHORIZER:
        return name
    return f"{name}, {'body' if event['httpMethod'] in WITH_BODY else 'query'}"


def _report(service: Service, seed: int, event: Event) -> str:
    """Return what is wrong with an event, and as little of it as is wrong in a table that is as at the beginning."""
    service.restore()
    found = problems(service, event)
    if not found:
        first = seed - seed % _AT_ONCE
        return f"seed {seed} gets no proper answer, but only after those from {first} on:\n{as_text(event)}"
    smaller = minimal(event, lambda one: bool(service.ask(one).problems))
    return f"seed {seed}: {problems(service, smaller) or found}\n{as_text(smaller)}"
