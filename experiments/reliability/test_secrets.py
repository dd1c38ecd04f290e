"""What a wrong token tells: not how much of it is right, and not what another kind of token would open."""

import gc
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations
from random import Random
from statistics import median
from typing import cast

import pytest

from enrollment.callers import TokenKind
from enrollment.errors import Unauthorized
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, token_key
from enrollment.store.table import Table
from enrollment.use_cases import tokens
from enrollment.use_cases.tokens import NewToken, authenticate, store_token
from experiments.figures import record
from tests.fixtures import Store

NOW = datetime(2026, 1, 9, 5, 45, 33, tzinfo=UTC)
SECRET = "PubLicDemoKeyForLocaLUse"
OTHER_SECRET = SECRET[::-1]
WORKSPACE_ID = "de300000-0000-4000-8000-000000000001"
IDENTITY = "de300000-0000-4000-8000-000000000011"
PREFIXES = {TokenKind.API_KEY: "", TokenKind.PERSONAL_ACCESS_TOKEN: "at1", TokenKind.CLIENT_SESSION: "cst1"}
PAIRS = list(permutations(TokenKind, 2))


def stored(kind: TokenKind, secret: str = SECRET) -> Item:
    sees = [IDENTITY] if kind is TokenKind.CLIENT_SESSION else []
    return NewToken(kind, [WORKSPACE_ID], sees).record(secret, NOW)


def opens(store: Store, short: str, secret: str = SECRET) -> TokenKind | None:
    """Return as what a token is let in."""
    with suppress(Unauthorized):
        return authenticate(store.table, f"Bearer seam_{short}_{secret}", NOW).principal.kind
    return None


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_another_kinds_prefix_opens_nothing(store: Store, kind: TokenKind, other: TokenKind) -> None:
    store_token(store.table, f"{PREFIXES[kind]}Person23", stored(kind))

    assert opens(store, f"{PREFIXES[kind]}Person23") is kind
    assert opens(store, f"{PREFIXES[other]}Person23") is None


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_the_secret_of_another_kind_with_the_same_short_opens_nothing(
    store: Store, kind: TokenKind, other: TokenKind
) -> None:
    store_token(store.table, f"{PREFIXES[kind]}Person23", stored(kind))
    store_token(store.table, f"{PREFIXES[other]}Person23", stored(other, OTHER_SECRET))

    assert opens(store, f"{PREFIXES[kind]}Person23", OTHER_SECRET) is None
    assert opens(store, f"{PREFIXES[other]}Person23", SECRET) is None


@pytest.mark.parametrize(("kind", "other"), [pair for pair in PAIRS if pair[0] is not TokenKind.API_KEY])
def test_a_record_under_another_kinds_key_opens_nothing(store: Store, kind: TokenKind, other: TokenKind) -> None:
    store_token(store.table, f"{PREFIXES[other]}Person23", stored(kind))

    assert opens(store, f"{PREFIXES[other]}Person23") is None


@pytest.mark.parametrize("short", ["at1Perso", "cst1Pers", "at1at1at", "cst1cst1"])
def test_an_api_key_that_begins_like_another_kind_stays_one(store: Store, short: str) -> None:
    store_token(store.table, short, stored(TokenKind.API_KEY))

    assert opens(store, short) is TokenKind.API_KEY
    assert [opens(store, prefix + short) for prefix in ("at1", "cst1")] == [None, None]
    assert [opens(store, short.removeprefix(prefix)) for prefix in ("at1", "cst1") if short.startswith(prefix)] == [
        None
    ]


# ----------------------------------------------------------------------------------------------------------------- Time

ROUNDS = 20_000
# How far from 0.5 the chance may be that one of two calls takes longer.  For so many rounds chance alone stays within
# 0.01 (three standard deviations of Mann and Whitney's U); a difference of 0.1 µs shows.
_EVEN = 0.03


@dataclass
class _OneToken:
    """A table with one record, which takes no time."""

    item: Item

    def get(self, key: Key) -> Item | None:
        return self.item if key == token_key("testDemo") else None


WRONG = {
    "first character": range(1),
    "middle character": range(12, 13),
    "last character": range(23, 24),
    "every character": range(24),
}


def _attempt(random: Random, places: Sequence[int]) -> tuple[Table, str]:
    """Return a table with a new token, and a header with its secret, wrong in these places."""
    right = random.choices(tokens.BASE58, k=24)
    others = [random.choice(tokens.BASE58.replace(character, "")) for character in right]
    wrong = "".join(others[place] if place in places else right[place] for place in range(24))
    item = {**stored(TokenKind.API_KEY, "".join(right)), "secret": "".join(right)}
    return cast("Table", _OneToken(item)), f"Bearer seam_testDemo_{wrong}"


def times() -> dict[str, list[int]]:
    """Return how many nanoseconds wrong secrets take, in turns of a random order.

    Each time another secret is the right one: what a certain text or its place in memory does must not count.
    """
    random = Random(1)
    taken: list[tuple[str, int]] = []
    gc.disable()
    try:
        for _ in range(ROUNDS):
            turns = [(name, *_attempt(random, places)) for name, places in WRONG.items()]
            random.shuffle(turns)
            for name, table, header in turns:
                begun = time.perf_counter_ns()
                with suppress(Unauthorized):
                    authenticate(table, header, NOW)
                taken.append((name, time.perf_counter_ns() - begun))
    finally:
        gc.enable()
    return {name: [nanoseconds for other, nanoseconds in taken if other == name] for name in WRONG}


def chance_of_longer(some: Sequence[int], others: Sequence[int]) -> float:
    """Return how likely one of the first takes longer than one of the others: Mann and Whitney's U, as a part of 1."""
    ordered = sorted(others)
    wins = sum(bisect_left(ordered, one) + bisect_right(ordered, one) for one in some) / 2
    return wins / (len(some) * len(others))


def _compares_until_the_first_difference(item: Item, secret: str) -> bool:
    return all(right == given for right, given in zip(str(item["secret"]), secret, strict=True))


@pytest.mark.hostile
@pytest.mark.timeout(0)
def test_the_time_of_a_wrong_secret_does_not_tell_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    comparisons: dict[str, Callable[[Item, str], bool]] = {
        "the service's": tokens.is_secret_of,
        "planted: secrets, up to the first difference": _compares_until_the_first_difference,
    }
    rows: list[dict[str, str | int | float]] = []
    bias = {}
    for comparison, is_secret_of in comparisons.items():
        monkeypatch.setattr(tokens, "is_secret_of", is_secret_of)
        taken = times()
        first = taken["first character"]
        chances = {name: chance_of_longer(found, first) for name, found in taken.items()}
        bias[comparison] = max(abs(chance - 0.5) for chance in chances.values())
        rows += [
            {
                "comparison": comparison,
                "wrong is": name,
                "calls": len(found),
                "median µs": round(median(found) / 1000, 2),
                "chance of longer": round(chances[name], 3),
            }
            for name, found in taken.items()
        ]
    record("secrets", "Wrong secrets: chance that one takes longer than one whose first character is wrong", rows)

    service, planted = bias.values()
    assert service < _EVEN
    assert planted > 0.3
