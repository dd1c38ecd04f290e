"""Hostile requests: events as API Gateway would pass them on, made from good ones by a grammar.

Everything is drawn from a ``random.Random``: a seed makes it again, and Hypothesis, which has a ``Random`` of its own,
can shrink it.
"""

import base64
import json
import string
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.events import ALL, event
from tests.fixtures import PROJECT

# In what clients send; no log line may have one of them.
MARKER = "HostileMarker"
SECRET = "PubLicDemoKeyForLocaLUse"

type Event = dict[str, Any]
type Parameters = list[tuple[str, Any]]  # in pairs, so that a key can be there twice

WITH_BODY = ("PATCH", "POST", "PUT")
_VERBS = ("POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "post")
_EVENTS: list[Event] = [event(name) for name in ALL]
_PROXY_EVENTS = [event for event in _EVENTS if "authorizer" in event.get("requestContext", {})]
_TOKEN_EVENTS = [event for event in _EVENTS if "authorizationToken" in event]
_GOOD_TOKENS = [event for event in _TOKEN_EVENTS if event["authorizationToken"].endswith(f"Demo_{SECRET}")]
_API_KEY = {
    "token_kind": "api_key",
    "token_id": "testDemo",
    "workspace_ids": "de300000-0000-4000-8000-000000000001",
    "user_identity_ids": "",
}
_CALLERS = list({str(event["requestContext"]["authorizer"]): event for event in _PROXY_EVENTS}.values())


class Raw(str):
    """JSON as it stands, that no Python value is."""

    __slots__ = ()


_NUMBERS = [
    *(0, 1, -1, 2, 10**18, -(10**30), 1.5, 1e308, 5e-324),
    *map(Raw, ["-0", "-0.0", "10.0", "1e2", "1e400", "-1e400", "1E-400", "NaN", "Infinity", "-Infinity", "01", "1."]),
    *map(Raw, ["9" * 4300, "9" * 4301, "9" * 10_000, "-" + "9" * 4300, "0." + "9" * 10_000, "1" + "0" * 400 + ".0"]),
]
_TEXTS = [
    *("", "a", " ", "0", "1", "null", "true", MARKER, f"{MARKER}@example.com", "jane.doe", "jane.doe@example.com"),
    *("+15555550100", "+0", "2026-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:60-23:59"),
    *("2026-02-30T00:00:00Z", "2026-01-01t00:00:00." + "9" * 1000 + "z", "\u0662026-01-01T00:00:00Z"),
    *("de300000-0000-4000-8000-000000000011", "DE300000-0000-4000-8000-000000000021"),
    *("{de300000-0000-4000-8000-000000000011}", "urn:uuid:de300000-0000-4000-8000-000000000011"),
    *("de300000000040008000000000000011", "de300000-0000-4000-8000-00000000001\u0661", "\uff44e300000-0000-4000"),
    *("de300000-0000-4000-8000-000000000011\n", "00000000-0000-0000-0000-000000000000"),
    *("\0", "\ud800", "\udfff\ud800", "\ud83d\ude00", "\U0001f600", "\u202e", "\ufeff", "\uffff", "\x7f", "\x85"),
    *("K" * 400, "\u00e9" * 401, "\U0001f600" * 400, "\u0130" * 400, "x" * 1001, "#", "WORKSPACE#x", "%s{0}${x}"),
    *("__proto__", "constructor", "a[]", "_errors", "' OR 1=1 --", "../../etc/passwd", "<script>", "\r\nX: y"),
    "a" * 250 + "@" + "b" * 60 + ".com",
]
_CHARACTERS = [*string.ascii_letters[:6], "0", "-", '"', "{", "}", "[", ",", ":", "\\", "\0", "\n", "\ud800", "\u0661"]
_ODD_NAMES = ["__proto__", "user_identity_ids[]", "a[]", "limit[]", "", MARKER, "page_cursor", "limit", "\ud800", "\0"]
_CONTENT_TYPES = [
    *(
        "application/json",
        "application/json;charset=utf-8",
        "APPLICATION/JSON",
        " application/json ; x=y",
        "text/plain",
    ),
    *("", ";", "application/json,application/json", "application/jsonp", "application/json\0", f"{MARKER}/json"),
    *("multipart/form-data; boundary=application/json", "\u212application/json", "\ud800", ";" * 10_000, "*/*"),
]
BODIES: list[str | None] = [
    *(
        None,
        "",
        " ",
        "null",
        "true",
        "3",
        f'"{MARKER}"',
        "[]",
        "{}",
        "{",
        "}",
        "[{}]",
        "\0",
        "\ud800",
        "\ufeff{}",
        "{}x",
    ),
    *(
        '{"a":"\\ud800"}',
        '{"\\ud800":1}',
        '{"a":"\\udc00\\ud800"}',
        '{"a":"\\u0000"}',
        '{"a":"\t"}',
        "{'a':1}",
        '{"a":1,}',
    ),
    *("NaN", "Infinity", "-", '{"limit":1e400}', '{"limit":' + "9" * 10_000 + "}", f"a={MARKER}", "<xml/>"),
    *("[" * 100_000, '{"a":' * 100_000, "[" * 199 + "]" * 199, "[" * 100_000 + "]" * 100_000, '{"a":[' * 50_000),
    '{"user_identity_id":' * 150 + "1" + "}" * 150,
]


def proxy_event(random: Random, resource: str, method: str) -> Event:
    """Return a hostile request of a route.

    Args:
        random: Draws.
        resource: The route's path.
        method: Its verb.
    """
    example, given = random.choice(_EXAMPLES[resource])
    parameters = list(given)
    for _ in range(random.choice([1, 0, 2, 1, 4])):
        parameters = _changed(random, parameters)
    caller = random.choice([example] * 12 + _CALLERS)
    event = {**caller, "resource": resource, "path": resource, "httpMethod": method}
    event["requestContext"] = {**caller["requestContext"], "resourcePath": resource, "httpMethod": method}
    event |= _headers(random, caller)
    if method in WITH_BODY:
        event |= _body(random, parameters)
    else:
        event |= _query(random, parameters)
    if random.randrange(50) == 1:  # what the other kind of verbs has
        event |= _query(random, parameters) if method in WITH_BODY else _body(random, parameters)
    if random.randrange(100) == 1:
        event["httpMethod"] = random.choice(_VERBS)
    if random.randrange(100) == 1:
        event["resource"] = event["path"] = resource + random.choice(["/", "x", "\0", "/../get", "?a=b"])
    return event


def token_event(random: Random) -> Event:
    """Return a hostile event of the authorizer."""
    example = random.choice(_GOOD_TOKENS + _TOKEN_EVENTS)
    token = example["authorizationToken"].partition(" ")[2]
    other = random.choice(_TOKEN_EVENTS)["authorizationToken"].partition(" ")[2]
    for _ in range(random.choice([0, 0, 1, 2])):
        token = _changed_token(random, token)
    header = random.choice(
        [
            *(f"Bearer {token}", f"Bearer {token}", f"bearer   {token}", token, f" Bearer {token} ", f"Bearer{token}"),
            *(f"Bearer {token}\n", f"Bearer\n{token}", f"Bearer\t{token}", f"Bearer\u00a0{token}", f"Bearer {token}\0"),
            *(
                f"Bearer {token},{other}",
                f"Bearer {token}, Bearer {other}",
                f"Bearer {token} {other}",
                f"Basic {token}",
            ),
            *(
                f"Bearer Bearer {token}",
                f'Bearer "{token}"',
                f"Bearer {token};",
                f"\u0432earer {token}",
                f"Bearer {MARKER}",
            ),
            *(
                "",
                "Bearer",
                "Bearer ",
                "\0",
                "\ud800",
                f"Bearer \ud800{token}",
                f"{token} Bearer",
                f"Bearer {token}\u2028",
            ),
            *(f"Bearer ey{MARKER}.{token}.", "Bearer ey" + "a" * 10_000, "Bearer" + " " * 10_000, f"Token={token}"),
        ]
    )
    return token_event_of(header)


def token_event_of(header: str) -> Event:
    """Return the authorizer's event of a header."""
    return {**_TOKEN_EVENTS[0], "authorizationToken": header}


def plain(resource: str, method: str, **parts: Any) -> Event:
    """Return a request of an API key in which nothing is hostile but what is given.

    Args:
        resource: The route's path.
        method: Its verb.
        parts: Parts of the event.
    """
    example = _EXAMPLES[resource][0][0]
    return {
        **example,
        "resource": resource,
        "httpMethod": method,
        "headers": None,
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "multiValueQueryStringParameters": None,
        "requestContext": {**example["requestContext"], "authorizer": _API_KEY},
        "body": None,
        "isBase64Encoded": False,
        **parts,
    }


def seeds() -> list[tuple[str | None, str]]:
    """Return good bodies, each with its route, and good headers with ``None``."""
    bodies = [(event["resource"], event["body"]) for event in _PROXY_EVENTS if event["body"]]
    return [*bodies, *((None, event["authorizationToken"]) for event in _TOKEN_EVENTS)]


def as_text(event: Event) -> str:
    """Return an event as a line of JSON to make it again from."""
    return json.dumps(event, separators=(",", ":"))


def minimal(event: Event, is_wrong: Callable[[Event], bool], tries: int = 300) -> Event:
    """Return as little of a request as is still wrong.

    Args:
        event: The request.
        is_wrong: Whether one is.
        tries: How often to ask at most.
    """
    for name in ("headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "body"):
        for smaller in (None, {"Content-Type": "application/json"}):
            if name in event and is_wrong(event | {name: smaller}):
                event = event | {name: smaller}
                break
    for name in ("multiValueHeaders", "multiValueQueryStringParameters"):
        for key in event.get(name) or {}:
            fewer = {other: values for other, values in event[name].items() if other != key}
            if is_wrong(event | {name: fewer}):
                event = event | {name: fewer}
    name = "body" if event.get("body") else "authorizationToken"
    text: str = event.get(name) or ""
    size = len(text) // 2
    while size and tries:
        for start in range(0, len(text), size):
            tries = max(0, tries - 1)
            shorter = text[:start] + text[start + size :]
            if tries and is_wrong(event | {name: shorter}):
                text = shorter
                break
        else:
            size //= 2
    return event | {name: text} if text else event


def _parameters_of(event: Event) -> Parameters:
    query = event["multiValueQueryStringParameters"] or {}
    try:
        body = json.loads(event["body"] or "{}")
    except ValueError:
        body = {}
    given = body if isinstance(body, dict) else {}
    return [*given.items(), *((name, values[0] if len(values) == 1 else values) for name, values in query.items())]


def _changed(random: Random, parameters: Parameters) -> Parameters:
    changed = list(parameters)
    where = random.randrange(len(changed)) if changed else 0
    name, value = changed[where] if changed else (random.choice(_ODD_NAMES), "")
    kind = random.choice(["text", "value", "remove", "double", "add", "name"])
    match kind:
        case "remove":
            del changed[where : where + 1]
        case "double":
            changed.append((name, _value(random)))
        case "add":
            changed.append((random.choice(_MEMBERS), _value(random)))
        case "name":
            changed[where : where + 1] = [(_changed_text(random, name), value)]
        case "text" if isinstance(value, str):
            changed[where : where + 1] = [(name, _changed_text(random, value))]
        case _:
            changed[where : where + 1] = [(name, _value(random))]
    return changed


_EXAMPLES: dict[str, list[tuple[Event, Parameters]]] = defaultdict(list)
for _event in _PROXY_EVENTS:
    _EXAMPLES[_event["resource"]].append((_event, _parameters_of(_event)))
_NAMES = sorted({name for examples in _EXAMPLES.values() for _, given in examples for name, _ in given})
_MEMBERS = [*_NAMES, *_ODD_NAMES, "starts_at", "ends_at"]


def _value(random: Random, depth: int = 3) -> Any:
    kind = random.choice(["text", "number", "constant", "array", "object", "characters", "many"])
    match kind:
        case "text":
            value: Any = random.choice(_TEXTS)
        case "number":
            value = random.choice(_NUMBERS)
        case "constant":
            value = random.choice([None, True, False])
        case "array" if depth:
            value = [_value(random, depth - 1) for _ in range(random.randrange(4))]
        case "object" if depth:
            value = {random.choice(_MEMBERS): _value(random, depth - 1) for _ in range(random.randrange(4))}
        case "many":
            value = [random.choice(_TEXTS)] * random.choice([1, 15, 16, 101, 1000, 1001])
        case _:
            value = "".join(chr(random.choice([*range(0x300), 0xD800, 0xFFFE, 0x10FFFF])) for _ in range(8))
    return value


_OTHER_DIGITS = {ord(digit): 0x660 + int(digit) for digit in string.digits}
_WIDE = {ord(character): ord(character) + 0xFEE0 for character in string.ascii_letters + string.digits}
_CHANGES: Sequence[Callable[[str, int, str], str]] = [
    lambda text, _at, _: text.upper(),
    lambda text, at, _: text[:at],
    lambda text, at, _: text[at:],
    lambda text, at, character: text[:at] + character + text[at + 1 :],
    lambda text, at, character: text[:at] + character + text[at:],
    lambda text, _at, _: text + text,
    lambda text, _at, _: f" {text}",
    lambda text, _at, _: f"{text}\n",
    lambda text, _at, _: f"{text}\0",
    lambda text, _at, _: f"{{{text}}}",
    lambda text, _at, _: f"urn:uuid:{text}",
    lambda text, _at, _: text[::-1],
    lambda text, _at, _: text.translate(_OTHER_DIGITS),
    lambda text, _at, _: text.translate(_WIDE),
    lambda text, _at, _: f"{text}=",
    lambda text, _at, _: text.replace("-", ""),
    lambda text, _at, _: text.replace("-", "\u2010"),
    lambda text, _at, _: (text * 100)[:10_000],
    lambda text, _at, _: f"{MARKER}{text}",
    lambda *_: "",
]


def _changed_text(random: Random, text: str) -> str:
    return random.choice(_CHANGES)(text, random.randrange(len(text) + 1), random.choice(_CHARACTERS))


def _changed_token(random: Random, token: str) -> str:
    prefix, short, secret = [*token.split("_"), "", ""][:3]
    return random.choice(
        [
            _changed_text(random, token),
            *(f"{prefix}_{_changed_text(random, short)}_{secret}", f"{prefix}_{short}_{_changed_text(random, secret)}"),
            *(f"{prefix}_at1{short}_{secret}", f"{prefix}_cst1{short}_{secret}", f"{prefix}_{short[3:]}_{secret}"),
            *(
                token.translate(_WIDE),
                token.replace("1", "l"),
                token.replace("o", "\u043e"),
                token.replace("e", "\u0435"),
            ),
            *(f"{prefix}_{short}_{secret[:-1]}\u0661", f"{token}{MARKER}", token.swapcase(), token + "A" * 1000),
            f"{prefix}_{short}_{''.join(random.choice(string.ascii_letters) for _ in range(24))}",
        ]
    )


def _json(value: Any, *, ascii_only: bool) -> str:
    match value:
        case Raw():
            return str(value)
        case dict():
            return _object(list(value.items()), ascii_only=ascii_only)
        case list():
            return f"[{','.join(_json(element, ascii_only=ascii_only) for element in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=ascii_only)


def _object(pairs: Parameters, *, ascii_only: bool) -> str:
    members = (f"{json.dumps(name)}:{_json(value, ascii_only=ascii_only)}" for name, value in pairs)
    return f"{{{','.join(members)}}}"


def _body(random: Random, parameters: Parameters) -> Event:
    body: str | None = _object(parameters, ascii_only=random.choice([True, True, False]))
    kind = random.choice(["good"] * 12 + ["text", "text", "constant", "base64", "bytes", "not base64"])
    match kind:
        case "text":
            body = _changed_text(random, str(body))
        case "constant":
            body = random.choice(BODIES)
        case "base64":
            encoded = str(random.choice([body, *BODIES])).encode(errors=random.choice(["replace", "surrogatepass"]))
            return {"body": base64.b64encode(encoded).decode(), "isBase64Encoded": True}
        case "bytes":
            data = bytes(random.randrange(256) for _ in range(random.randrange(64)))
            return {"body": base64.b64encode(data).decode(), "isBase64Encoded": True}
        case "not base64":
            return {"body": random.choice([body, *BODIES, "%%%", "e30", "e30=\n", "\u0661"]), "isBase64Encoded": True}
    return {"body": body, "isBase64Encoded": False}


def _query(random: Random, parameters: Parameters) -> Event:
    values: dict[str, list[str]] = {}
    for name, value in parameters:
        for one in value if isinstance(value, list) and value else [value]:
            values.setdefault(name, []).append(one if type(one) is str else _json(one, ascii_only=False))
    if random.randrange(20) == 1:
        long = random.choice(["9" * 100_000, "A" * 100_000, "%00" * 1000])
        values[random.choice([*_NAMES, *_ODD_NAMES])] = random.choice([[long], ["1"] * 5000, ["1e9"], [""], ["", ""]])
    several: dict[str, list[str]] | None = values
    if not values or random.randrange(30) == 1:
        several = None if random.randrange(3) else {}
    last = {name: found[-1] for name, found in several.items()} if several else several
    event: Event = {"queryStringParameters": last, "multiValueQueryStringParameters": several, "body": None}
    if random.randrange(50) == 1:
        event["body"] = random.choice(BODIES)
    return event


def _headers(random: Random, caller: Event) -> Event:
    several: dict[str, list[str]] = {"Content-Type": ["application/json"]} | caller["multiValueHeaders"]
    if random.randrange(5) == 1:
        several["Content-Type"] = random.choices(_CONTENT_TYPES, k=random.choice([1, 1, 2, 3]))
    if random.randrange(10) == 1:
        several[random.choice(["content-type", "CONTENT-TYPE", "Content-type", "content\u2010type"])] = several.pop(
            "Content-Type"
        )
    if random.randrange(5) == 1:
        several[random.choice(["Seam-Workspace", "SEAM-WORKSPACE"])] = [random.choice(_TEXTS) for _ in range(2)]
    if random.randrange(10) == 1:
        several[random.choice(["Origin", "Accept-Encoding", "X-\0", MARKER, "Content-Length", "Accept"])] = [
            random.choice(_TEXTS)
        ]
    one = {name: values[-1] for name, values in several.items()}
    event: Event = {"headers": one, "multiValueHeaders": several}
    match random.randrange(40):
        case 1:
            return {"headers": None, "multiValueHeaders": None}
        case 2:
            return {"headers": one, "multiValueHeaders": None}
        case 3:
            return {"headers": {}, "multiValueHeaders": {}}
        case 4:
            return {"headers": None, "multiValueHeaders": several}
    return event


def routes(document: Path = PROJECT / "openapi.json") -> Sequence[tuple[str, str]]:
    """Return the routes of the API document, each a path and a verb."""
    paths = json.loads(document.read_text())["paths"]
    return [(path, method.upper()) for path, operations in paths.items() for method in operations]
