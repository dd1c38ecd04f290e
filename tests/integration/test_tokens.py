import hashlib
import hmac
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enrollment.callers import Caller, Principal, TokenKind
from enrollment.errors import Unauthorized
from enrollment.store.keys import token_key
from enrollment.use_cases.tokens import (
    NewToken,
    StoredToken,
    authenticate,
    create_token,
    list_tokens,
    note_use,
    revoke_token,
    store_token,
)
from tests.fixtures import Store

NOW = datetime(2026, 1, 9, 5, 45, 33, tzinfo=UTC)
WORKSPACE_ID = "de300000-0000-4000-8000-000000000001"
OTHER_WORKSPACE_ID = "de300000-0000-4000-8000-000000000002"
IDENTITY = "de300000-0000-4000-8000-000000000011"
OTHER_IDENTITY = "de300000-0000-4000-8000-000000000012"
SECRET = "PubLicDemoKeyForLocaLUse"
KEY = f"seam_testDemo_{SECRET}"


@pytest.fixture(autouse=True)
def api_key(store: Store) -> None:
    store_token(store.table, "testDemo", NewToken(TokenKind.API_KEY, [WORKSPACE_ID]).record(SECRET, NOW))


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER   {KEY}", f"  Bearer {KEY} "])
def test_a_good_key_opens_its_workspace(store: Store, header: str) -> None:
    principal = authenticate(store.table, header, NOW).principal

    assert principal == Principal(TokenKind.API_KEY, "testDemo", (WORKSPACE_ID,))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "No token provided"),
        ("Bearer", "No token provided"),
        ("Bearer ", "No token provided"),
        (KEY, "No token provided"),
        (f"Basic {KEY}", "No token provided"),
        (f"Bearer {KEY} {KEY}", "No token provided"),
        (f"Bearer {KEY}x", "API Key not found"),
        (f"Bearer {KEY}\u00e9", "API Key not found"),
        ("Bearer seam_testNone_" + SECRET, "API Key not found"),
        ("Bearer seam_testDemo_" + SECRET[::-1], "API Key not found"),
        ("Bearer seam_testDemo_" + SECRET.lower(), "API Key not found"),
        ("Bearer seam_at1testDemo_" + SECRET, "Access token not found"),
        ("Bearer seam_cst1testDemo_" + SECRET, "Unauthorized (client session not found)"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.sig", "A JWT was used instead of an API key"),
    ],
)
def test_what_is_no_good_token_is_refused_with_the_reason(store: Store, header: str, message: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authenticate(store.table, header, NOW)

    assert refusal.value.message == message


def test_a_token_without_the_form_of_one_costs_no_read(store: Store) -> None:
    requests = store.count_requests()

    with pytest.raises(Unauthorized):
        authenticate(store.table, "Bearer junk", NOW)

    assert requests == []


def test_a_good_key_costs_one_read(store: Store) -> None:
    requests = store.count_requests()

    authenticate(store.table, f"Bearer {KEY}", NOW)

    assert requests == ["DynamoDB_20120810.GetItem"]


KINDS = {
    TokenKind.API_KEY: (NewToken(TokenKind.API_KEY, [WORKSPACE_ID]), "API Key"),
    TokenKind.PERSONAL_ACCESS_TOKEN: (
        NewToken(TokenKind.PERSONAL_ACCESS_TOKEN, [WORKSPACE_ID, OTHER_WORKSPACE_ID]),
        "Access token",
    ),
    TokenKind.CLIENT_SESSION: (
        NewToken(TokenKind.CLIENT_SESSION, [WORKSPACE_ID], [IDENTITY, OTHER_IDENTITY]),
        "Client session",
    ),
}


@pytest.mark.parametrize("kind", TokenKind)
def test_a_created_token_of_each_kind_is_good(store: Store, kind: TokenKind) -> None:
    new, _ = KINDS[kind]

    token = create_token(store.table, new)

    principal = authenticate(store.table, f"Bearer {token}", NOW).principal
    assert (principal.kind, principal.workspace_ids) == (kind, tuple(new.workspace_ids))
    assert principal.user_identity_ids == tuple(new.user_identity_ids)
    assert Principal.from_context(principal.to_context()) == principal


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_works_until_it_expires(store: Store, kind: TokenKind) -> None:
    new, name = KINDS[kind]
    token = create_token(store.table, replace(new, expires_at=NOW))

    assert authenticate(store.table, f"Bearer {token}", NOW - timedelta(milliseconds=1)).principal.kind is kind
    with pytest.raises(Unauthorized, match=f"^{name} has expired$"):
        authenticate(store.table, f"Bearer {token}", NOW)


@pytest.mark.parametrize("kind", TokenKind)
def test_a_revoked_token_is_refused(store: Store, kind: TokenKind) -> None:
    new, name = KINDS[kind]
    token = create_token(store.table, new)

    assert revoke_token(store.table, token.split("_")[1], NOW)

    with pytest.raises(Unauthorized, match=f"^{name} has been revoked$"):
        authenticate(store.table, f"Bearer {token}", NOW)


def test_revoking_twice_keeps_the_first_time(store: Store) -> None:
    revoke_token(store.table, "testDemo", NOW)

    assert revoke_token(store.table, "testDemo", NOW + timedelta(days=1))
    assert store.items()[token_key("testDemo")]["revoked_at"] == "2026-01-09T05:45:33.000Z"


def test_revoking_a_token_that_is_not_there_makes_none(store: Store) -> None:
    before = store.items()

    assert not revoke_token(store.table, "testNone", NOW)
    assert store.items() == before


@pytest.mark.parametrize("prefix", ["at1", "cst1"])
def test_a_token_of_one_kind_is_never_taken_as_another(store: Store, prefix: str) -> None:
    store_token(store.table, f"{prefix}testDemo", NewToken(TokenKind.API_KEY, [WORKSPACE_ID]).record(SECRET, NOW))

    with pytest.raises(Unauthorized, match="not found"):
        authenticate(store.table, f"Bearer seam_{prefix}testDemo_{SECRET}", NOW)


def test_tokens_are_listed_without_their_secrets(store: Store) -> None:
    created = {create_token(store.table, new).split("_")[1] for new, _ in KINDS.values()}

    listed = list_tokens(store.table)

    assert {token.token_id for token in listed} == created | {"testDemo"}
    assert SECRET not in repr(listed)


def test_a_listed_token_says_what_it_was_issued_for_and_what_became_of_it(store: Store) -> None:
    later = NOW + timedelta(days=1)
    new = NewToken(TokenKind.CLIENT_SESSION, [WORKSPACE_ID], [IDENTITY, OTHER_IDENTITY], "reception", expires_at=later)
    store_token(store.table, "cst1aaaaaaaa", new.record(SECRET, NOW))
    other = NewToken(TokenKind.PERSONAL_ACCESS_TOKEN, [WORKSPACE_ID, OTHER_WORKSPACE_ID])
    store_token(store.table, "at1aaaaaaaa", other.record(SECRET, later))
    assert revoke_token(store.table, "at1aaaaaaaa", later)

    found = {token.token_id: token for token in list_tokens(store.table)}

    assert found["cst1aaaaaaaa"] == StoredToken(
        token_id="cst1aaaaaaaa",
        kind=TokenKind.CLIENT_SESSION,
        workspace_ids=(WORKSPACE_ID,),
        user_identity_ids=(IDENTITY, OTHER_IDENTITY),
        name="reception",
        created_at="2026-01-09T05:45:33.000Z",
        expires_at="2026-01-10T05:45:33.000Z",
        revoked_at=None,
    )
    assert found["at1aaaaaaaa"] == StoredToken(
        token_id="at1aaaaaaaa",
        kind=TokenKind.PERSONAL_ACCESS_TOKEN,
        workspace_ids=(WORKSPACE_ID, OTHER_WORKSPACE_ID),
        user_identity_ids=(),
        name="",
        created_at="2026-01-10T05:45:33.000Z",
        expires_at=None,
        revoked_at="2026-01-10T05:45:33.000Z",
        is_use_noted=True,
    )


def test_more_tokens_than_one_request_takes_are_listed(store: Store) -> None:
    for _ in range(101):
        create_token(store.table, NewToken(TokenKind.API_KEY, [WORKSPACE_ID]))

    assert len(list_tokens(store.table)) == 102


def test_a_short_that_is_taken_is_not_overwritten(store: Store) -> None:
    before = store.items()

    assert not store_token(store.table, "testDemo", NewToken(TokenKind.API_KEY, ["x"]).record("y", NOW))
    assert store.items() == before


@pytest.mark.parametrize(
    "arguments",
    [
        (TokenKind.API_KEY, []),
        (TokenKind.API_KEY, [WORKSPACE_ID, OTHER_WORKSPACE_ID]),
        (TokenKind.API_KEY, [WORKSPACE_ID], [IDENTITY]),
        (TokenKind.CLIENT_SESSION, [WORKSPACE_ID]),
        (TokenKind.CLIENT_SESSION, [WORKSPACE_ID, OTHER_WORKSPACE_ID], [IDENTITY]),
        (TokenKind.PERSONAL_ACCESS_TOKEN, []),
        (TokenKind.PERSONAL_ACCESS_TOKEN, [WORKSPACE_ID] * 101),
        (TokenKind.CLIENT_SESSION, [WORKSPACE_ID], [IDENTITY] * 100),
        (TokenKind.PERSONAL_ACCESS_TOKEN, [WORKSPACE_ID], [IDENTITY]),
        (TokenKind.PERSONAL_ACCESS_TOKEN, [WORKSPACE_ID], [], "", None, True),
    ],
)
def test_a_token_that_makes_no_sense_is_not_issued(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"token|session|sandbox"):
        NewToken(*arguments)


@pytest.mark.parametrize("name", ["n" * 101, "a\nb"])
def test_a_name_that_is_long_or_cannot_be_printed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a token's name is at most 100 printable characters"):
        NewToken(TokenKind.API_KEY, [WORKSPACE_ID], name=name)


def test_as_much_as_a_token_may_name_is_fine() -> None:
    new = NewToken(TokenKind.CLIENT_SESSION, [WORKSPACE_ID], [IDENTITY] * 99, name="n" * 100)

    assert (len(new.user_identity_ids), len(new.name)) == (99, 100)


def test_a_secret_is_compared_by_its_sha_256_in_constant_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def note(first: str, second: str) -> bool:
        compared.append((first, second))
        return compare(first, second)

    monkeypatch.setattr("hmac.compare_digest", note)
    authenticate(store.table, f"Bearer {KEY}", NOW)

    assert compared == [(hashlib.sha256(SECRET.encode()).hexdigest(),) * 2]


def test_tokens_do_not_come_from_a_generator_whose_state_can_be_known(store: Store) -> None:
    before, state = store.items(), random.getstate()
    tokens = []
    for _ in range(2):
        random.setstate(state)
        tokens.append(create_token(store.table, NewToken(TokenKind.API_KEY, [WORKSPACE_ID])))
        store.restore(before)  # so that neither is in the other's way

    assert tokens[0] != tokens[1]


def test_the_secret_is_not_stored(store: Store) -> None:
    token = create_token(store.table, NewToken(TokenKind.API_KEY, [WORKSPACE_ID]))

    assert token.rsplit("_", 1)[1] not in str(store.items())


@pytest.mark.parametrize(
    ("new", "short"),
    [
        (KINDS[TokenKind.API_KEY][0], "(?!at|cst|pk|test)B{8}"),
        (replace(KINDS[TokenKind.API_KEY][0], is_sandbox=True), "testB{4}"),
        (KINDS[TokenKind.PERSONAL_ACCESS_TOKEN][0], "at1B{8}"),
        (KINDS[TokenKind.CLIENT_SESSION][0], "cst1B{8}"),
    ],
)
def test_created_tokens_have_the_published_form(store: Store, new: NewToken, short: str) -> None:
    form = f"seam_{short}_B{{24}}".replace("B", "[1-9A-HJ-NP-Za-km-z]")
    tokens = [create_token(store.table, new) for _ in range(20)]

    assert len(set(tokens)) == 20
    for token in tokens:
        assert re.fullmatch(form, token)


def test_a_personal_access_token_enters_the_workspace_that_is_named() -> None:
    principal = Principal(TokenKind.PERSONAL_ACCESS_TOKEN, "at1", (WORKSPACE_ID, OTHER_WORKSPACE_ID))

    assert principal.enter(f" {OTHER_WORKSPACE_ID.upper()} ") == Caller(OTHER_WORKSPACE_ID)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (None, "An access token was used instead of an API key"),
        ("", "An access token was used instead of an API key"),
        (IDENTITY, "The access token may not enter this workspace"),
        (f"{WORKSPACE_ID},{OTHER_WORKSPACE_ID}", "The access token may not enter this workspace"),
    ],
)
def test_a_personal_access_token_enters_no_other_workspace(named: str | None, message: str) -> None:
    principal = Principal(TokenKind.PERSONAL_ACCESS_TOKEN, "at1", (WORKSPACE_ID, OTHER_WORKSPACE_ID))

    with pytest.raises(Unauthorized, match=f"^{message}$"):
        principal.enter(named)


@pytest.mark.parametrize("named", [None, OTHER_WORKSPACE_ID])
def test_the_other_kinds_are_in_their_own_workspace_whatever_is_named(named: str | None) -> None:
    key = Principal(TokenKind.API_KEY, "testDemo", (WORKSPACE_ID,))
    session = Principal(TokenKind.CLIENT_SESSION, "cst1", (WORKSPACE_ID,), (IDENTITY,))

    assert key.enter(named) == Caller(WORKSPACE_ID)
    assert session.enter(named) == Caller(WORKSPACE_ID, frozenset({IDENTITY}), "cst1")


def used_at(store: Store) -> dict[str, object]:
    record = store.items()[token_key("testDemo")]
    return {name: value for name, value in record.items() if name.endswith("last_used_at")}


def use(store: Store, now: datetime) -> list[str]:
    """Use the API key, and return the requests of that."""
    requests = store.count_requests()
    note_use(store.table, authenticate(store.table, f"Bearer {KEY}", now), now)
    return [request.partition(".")[2] for request in requests]


def test_the_first_use_is_noted(store: Store) -> None:
    use(store, NOW)

    assert used_at(store) == {"last_used_at": "2026-01-09T05:45:33.000Z"}


def test_a_use_is_noted_once_an_hour(store: Store) -> None:
    use(store, NOW)

    assert use(store, NOW + timedelta(minutes=59)) == ["GetItem"]
    assert use(store, NOW + timedelta(hours=1)) == ["GetItem", "UpdateItem"]
    assert used_at(store) == {"last_used_at": "2026-01-09T06:45:33.000Z"}


def test_the_use_of_a_client_session_is_not_noted(store: Store) -> None:
    token = create_token(store.table, KINDS[TokenKind.CLIENT_SESSION][0])
    requests = store.count_requests()

    note_use(store.table, authenticate(store.table, f"Bearer {token}", NOW), NOW)

    assert requests == ["DynamoDB_20120810.GetItem"]


def test_the_use_of_a_token_that_was_deleted_meanwhile_makes_no_record(store: Store) -> None:
    admission = authenticate(store.table, f"Bearer {KEY}", NOW)
    store.restore({})

    note_use(store.table, admission, NOW)

    assert store.items() == {}


def test_a_listed_token_says_when_it_was_used(store: Store) -> None:
    use(store, NOW)

    (token,) = list_tokens(store.table)

    assert (token.last_used_at, token.is_use_noted) == ("2026-01-09T05:45:33.000Z", True)
