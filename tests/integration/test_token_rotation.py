"""The rotation of tokens: which secrets are good, and until when."""

import hmac
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from enrollment.callers import TokenKind
from enrollment.errors import Unauthorized
from enrollment.store.keys import token_key
from enrollment.use_cases.token_rotation import (
    MOST_FORMER_SECRETS,
    RotationRefusedError,
    end_former_secrets,
    rotate_token,
)
from enrollment.use_cases.tokens import (
    NewToken,
    authenticate,
    create_token,
    list_tokens,
    note_use,
    revoke_token,
    secret_hash,
)
from tests.fixtures import Store

NOW = datetime(2026, 1, 9, 5, 45, 33, tzinfo=UTC)
DAY, MOMENT = timedelta(days=1), timedelta(milliseconds=1)
WORKSPACE_ID = "de300000-0000-4000-8000-000000000001"
API_KEY = NewToken(TokenKind.API_KEY, [WORKSPACE_ID], name="Back office")


def id_of(token: str) -> str:
    return token.split("_")[1]


def is_good(store: Store, token: str, now: datetime) -> bool:
    try:
        authenticate(store.table, f"Bearer {token}", now)
    except Unauthorized as refusal:
        return refusal.message != "API Key not found"
    return True


@pytest.fixture
def old(store: Store) -> str:
    return create_token(store.table, API_KEY)


@pytest.mark.parametrize("kind", [TokenKind.API_KEY, TokenKind.PERSONAL_ACCESS_TOKEN])
def test_a_rotated_token_keeps_its_id_and_what_it_may_do(store: Store, kind: TokenKind) -> None:
    old = create_token(store.table, NewToken(kind, [WORKSPACE_ID]))

    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    assert (id_of(new), new == old) == (id_of(old), False)
    principals = [authenticate(store.table, f"Bearer {token}", NOW).principal for token in (old, new)]
    assert principals[0] == principals[1]


def test_the_old_secret_is_good_for_the_time_that_was_chosen(store: Store, old: str) -> None:
    rotated = rotate_token(store.table, id_of(old), DAY, NOW)

    assert rotated.former_secrets_until == ("2026-01-10T05:45:33.000Z",)
    assert [is_good(store, old, NOW + DAY - MOMENT), is_good(store, old, NOW + DAY)] == [True, False]
    assert is_good(store, rotated.token, NOW + 400 * DAY)


def test_the_old_secret_can_end_at_once(store: Store, old: str) -> None:
    second = rotate_token(store.table, id_of(old), DAY, NOW).token

    third = rotate_token(store.table, id_of(old), timedelta(0), NOW).token

    assert [is_good(store, token, NOW) for token in (old, second, third)] == [False, False, True]
    assert "former_secrets" not in store.items()[token_key(id_of(old))]


def test_a_rotation_whose_output_was_lost_is_repeated_and_the_first_secret_keeps_its_time(
    store: Store, old: str
) -> None:
    rotate_token(store.table, id_of(old), DAY, NOW)

    rotate_token(store.table, id_of(old), DAY, NOW + DAY / 2)

    assert [is_good(store, old, NOW + DAY - MOMENT), is_good(store, old, NOW + DAY)] == [True, False]


def test_former_secrets_that_ended_are_dropped(store: Store, old: str) -> None:
    second = rotate_token(store.table, id_of(old), DAY, NOW).token

    rotate_token(store.table, id_of(old), DAY, NOW + DAY)

    kept = store.items()[token_key(id_of(old))]["former_secrets"]
    assert kept == frozenset({f"{secret_hash(second.rpartition('_')[2])} 2026-01-11T05:45:33.000Z"})


def test_no_secret_is_stored(store: Store, old: str) -> None:
    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    stored = str(store.items())
    assert [token.rpartition("_")[2] in stored for token in (old, new)] == [False, False]


def test_a_revocation_ends_all_secrets(store: Store, old: str) -> None:
    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    revoke_token(store.table, id_of(old), NOW)

    for token in (old, new):
        with pytest.raises(Unauthorized, match=r"^API Key has been revoked$"):
            authenticate(store.table, f"Bearer {token}", NOW)


def test_a_rotation_can_move_the_end_of_the_token(store: Store, old: str) -> None:
    rotated = rotate_token(store.table, id_of(old), DAY, NOW, expires_in=90 * DAY)
    again = rotate_token(store.table, id_of(old), DAY, NOW)

    assert [rotated.expires_at, again.expires_at] == ["2026-04-09T05:45:33.000Z"] * 2


def test_a_former_secret_ends_with_the_token(store: Store, old: str) -> None:
    rotate_token(store.table, id_of(old), 2 * DAY, NOW, expires_in=DAY)

    with pytest.raises(Unauthorized, match=r"^API Key has expired$"):
        authenticate(store.table, f"Bearer {old}", NOW + DAY)


def test_a_token_with_a_former_secret_costs_one_read(store: Store, old: str) -> None:
    rotate_token(store.table, id_of(old), DAY, NOW)
    requests = store.count_requests()

    authenticate(store.table, f"Bearer {old}", NOW)

    assert requests == ["DynamoDB_20120810.GetItem"]


def test_each_secret_is_compared_whichever_it_is(store: Store, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = rotate_token(store.table, id_of(old), DAY, NOW).token
    rotate_token(store.table, id_of(old), DAY, NOW)
    compare = Mock(wraps=hmac.compare_digest)
    monkeypatch.setattr("hmac.compare_digest", compare)

    authenticate(store.table, f"Bearer {token}", NOW)

    assert compare.call_count == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda store, token: revoke_token(store.table, token, NOW), "the token was revoked; `enrollments tokens cr"),
        (lambda store, token: rotate_token(store.table, token, DAY, NOW, expires_in=DAY), "the token has expired; `"),
        (lambda store, _: store.restore({}), "there is no such token; the IDs are listed by: enrollments tokens list"),
    ],
)
def test_a_token_that_does_not_work_any_more_is_not_rotated(
    store: Store, old: str, change: object, message: str
) -> None:
    change(store, id_of(old))  # type: ignore[operator]
    before = store.items()

    with pytest.raises(RotationRefusedError, match=f"^{message}"):
        rotate_token(store.table, id_of(old), DAY, NOW + DAY)

    assert store.items() == before


def test_a_client_session_is_not_rotated(store: Store) -> None:
    token = create_token(store.table, NewToken(TokenKind.CLIENT_SESSION, [WORKSPACE_ID], [WORKSPACE_ID]))

    with pytest.raises(RotationRefusedError, match=r"have the server create another client session$"):
        rotate_token(store.table, id_of(token), DAY, NOW)


def test_so_many_former_secrets_are_kept_and_no_more(store: Store, old: str) -> None:
    for _ in range(MOST_FORMER_SECRETS):
        rotate_token(store.table, id_of(old), DAY, NOW)

    with pytest.raises(RotationRefusedError, match=r"^10 former secrets .* add --at-once to end all of them$"):
        rotate_token(store.table, id_of(old), DAY, NOW)

    assert is_good(store, rotate_token(store.table, id_of(old), timedelta(0), NOW).token, NOW)


def test_two_rotations_at_once_lose_no_secret(store: Store, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, others = store.table.get, []

    def read_and_be_overtaken(key: object) -> object:
        record = read(key)  # type: ignore[arg-type]
        monkeypatch.setattr(store.table, "get", read)
        others.append(rotate_token(store.table, id_of(old), DAY, NOW).token)
        return record

    monkeypatch.setattr(store.table, "get", read_and_be_overtaken)
    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    assert [is_good(store, token, NOW) for token in (old, *others, new)] == [True, True, True]


def test_former_secrets_can_be_ended_without_another_one(store: Store, old: str) -> None:
    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    assert end_former_secrets(store.table, id_of(old))

    assert [is_good(store, old, NOW), is_good(store, new, NOW)] == [False, True]
    assert not end_former_secrets(store.table, id_of(old))


def test_the_use_of_a_former_secret_is_noted_besides(store: Store, old: str) -> None:
    rotate_token(store.table, id_of(old), DAY, NOW)

    note_use(store.table, authenticate(store.table, f"Bearer {old}", NOW), NOW)

    (token,) = list_tokens(store.table)
    assert (token.last_used_at, token.former_secret_last_used_at) == ("2026-01-09T05:45:33.000Z",) * 2


def test_the_use_of_the_new_secret_says_nothing_of_the_former_one(store: Store, old: str) -> None:
    new = rotate_token(store.table, id_of(old), DAY, NOW).token

    note_use(store.table, authenticate(store.table, f"Bearer {new}", NOW), NOW)

    (token,) = list_tokens(store.table)
    assert (token.last_used_at, token.former_secret_last_used_at) == ("2026-01-09T05:45:33.000Z", None)


def test_a_rotation_forgets_the_use_of_former_secrets(store: Store, old: str) -> None:
    rotate_token(store.table, id_of(old), DAY, NOW)
    note_use(store.table, authenticate(store.table, f"Bearer {old}", NOW), NOW)

    rotate_token(store.table, id_of(old), DAY, NOW)

    (token,) = list_tokens(store.table)
    assert token.former_secret_last_used_at is None
