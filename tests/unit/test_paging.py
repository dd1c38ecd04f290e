import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import BaseModel

from enrollment.callers import Caller
from enrollment.errors import InvalidInput
from enrollment.http.page_cursors import Cursors
from enrollment.store.listings import Page, is_found, positions_of, read_page

if TYPE_CHECKING:
    from enrollment.store.table import Table


class Record(BaseModel):
    position: str
    text: str = ""


def page(
    count: int, limit: int, *, gone: Sequence[int] = (), hidden: Sequence[int] = (), text: str = "", after: int = -1
) -> Page[Record]:
    """Return a page of a list of so many records, of which some are gone and some do not pass its filter."""
    names = [f"{number:05}" for number in range(count)]
    missing, filtered = {names[number] for number in gone}, {names[number] for number in hidden}

    def load(positions: Sequence[str]) -> list[Record | None]:
        assert len(positions) <= 100
        return [None if name in missing else Record(position=name, text=text) for name in positions]

    return read_page(iter(names[after + 1 :]), load, lambda record: record.position not in filtered, limit)


def pages(count: int, limit: int, *, gone: Sequence[int] = (), hidden: Sequence[int] = ()) -> Iterator[Page[Record]]:
    after = -1
    while True:
        current = page(count, limit, after=after, gone=gone, hidden=hidden)
        yield current
        if current.next_position is None:
            return
        after = int(current.next_position)


def positions(some: Sequence[Record]) -> list[int]:
    return [int(record.position) for record in some]


@pytest.mark.parametrize(
    ("count", "limit", "lengths"),
    [
        (0, 10, [0]),
        (9, 10, [9]),
        (10, 10, [10]),
        (11, 10, [10, 1]),
        (250, 100, [100, 100, 50]),
        (350, 150, [150, 150, 50]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_pages_are_full_until_the_last_and_the_last_is_told(count: int, limit: int, lengths: list[int]) -> None:
    assert [len(current.records) for current in pages(count, limit)] == lengths


def test_pages_have_every_record_once_in_order() -> None:
    found = [position for current in pages(1234, 77) for position in positions(current.records)]

    assert found == list(range(1234))


def test_what_is_gone_or_filtered_does_not_count() -> None:
    found = list(pages(30, 10, gone=range(5, 15), hidden=range(20, 28)))

    assert [positions(current.records) for current in found] == [[0, 1, 2, 3, 4, 15, 16, 17, 18, 19], [28, 29]]


def test_a_limit_beyond_the_most_is_the_most() -> None:
    found = page(1001, 10**9)

    assert len(found.records) == 1000
    assert found.next_position == "00999"


def test_a_filter_that_nothing_passes_ends_the_page_and_not_the_list() -> None:
    found = list(pages(12_000, 500, hidden=range(11_999)))

    assert [positions(current.records) for current in found] == [[], [], [11_999]]


def test_a_page_ends_when_5000_records_were_looked_at() -> None:
    found = page(12_000, 500, hidden=range(12_000))

    assert (found.records, found.next_position) == ([], "04999")


def test_a_page_ends_with_the_record_that_brings_it_to_a_megabyte_and_a_half() -> None:
    # With its quotation marks, braces and names, a record has 30 bytes more than its text.
    sizes = [len(page(400, 400, text="x" * (length - 30)).records) for length in (5000, 4999)]

    assert sizes == [300, 301]


def test_a_page_ends_before_it_is_too_large_to_be_answered_with() -> None:
    sizes = [len(current.records) for current in (page(100, 100, text="x" * 100_000), page(100, 100))]

    assert sizes == [15, 100]


def test_a_short_page_of_few_among_many_is_not_read_one_by_one() -> None:
    loads: list[int] = []

    def load(positions: Sequence[str]) -> list[Record | None]:
        loads.append(len(positions))
        return [Record(position=position) for position in positions]

    names = [f"{number:05}" for number in range(1000)]
    found = read_page(iter(names), load, lambda record: record.position == "00777", 1)

    assert (positions(found.records), found.next_position) == ([777], "00777")
    assert loads == [1, *[100] * 8]


def item(identifier: str, moment: datetime) -> dict[str, str]:
    return {"id": identifier, "created_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def test_positions_are_newest_first_between_what_is_asked_for() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    items = [item(str(number), noon + timedelta(milliseconds=number)) for number in range(5)]

    everything = list(positions_of(items, "id"))

    assert [position[-1] for position in everything] == ["4", "3", "2", "1", "0"]
    assert list(positions_of(items, "id", after=everything[1])) == everything[2:]
    assert list(positions_of(items, "id", before=noon + timedelta(milliseconds=3))) == everything[2:]
    assert list(positions_of(items, "id", before=noon + timedelta(microseconds=3001))) == everything[1:]


@pytest.mark.parametrize(
    ("search", "is_there"), [(None, True), ("doe", True), ("JANE D", True), ("555", True), ("x", False)]
)
def test_search_finds_parts_without_regard_to_case(search: str | None, is_there: bool) -> None:  # noqa: FBT001
    assert is_found(search, ["Jane Doe", None, "+15555550100"]) is is_there


@pytest.mark.parametrize(
    ("search", "value"),
    [
        ("zo\u00eb", "Zoe\u0308 Roe"),
        ("zoe\u0308", "Zo\u00eb Roe"),
        ("ZO\u00cb R", "Zoe\u0308 Roe"),
        ("\u212bngstr\u00f6m", "A\u030angstro\u0308m"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        ("o\u0323\u0302", "O\u0302\u0323"),
        ("\u1fb3", "\u0391\u0345"),
        ("STRASSE", "Hauptstra\u00dfe"),
        ("\u03c3", "\u039f\u0394\u039f\u03a3"),
    ],
    ids=ascii,
)
def test_search_finds_what_is_canonically_equal(search: str, value: str) -> None:
    assert is_found(search, [value]) is True


@pytest.mark.parametrize(("search", "value"), [("zoe", "Zo\u00eb"), ("zoe", "Zoe\u0308"), ("\uff21", "A")], ids=ascii)
def test_search_does_not_find_other_characters(search: str, value: str) -> None:
    assert is_found(search, [value]) is False


SECRET = {"secret": "00" * 32}


class OneSecret:
    """A table that holds the secret of page cursors."""

    def get(self, _: object) -> dict[str, str]:
        return SECRET


class Overtaken:
    """A table in which another process stores the secret just before."""

    def get(self, _: object) -> None:
        return None

    def transact(self, actions: Mapping[str, object]) -> dict[str, dict[str, str]]:
        return dict.fromkeys(actions, SECRET)


class Empty:
    """A table without a secret, which keeps the one that is stored.

    Attributes:
        reads: How often the secret was read.
        secret: The secret, once it is stored.
    """

    def __init__(self) -> None:
        self.reads = 0
        self.secret: str | None = None

    def get(self, _: object) -> dict[str, str] | None:
        self.reads += 1
        return None if self.secret is None else {"secret": self.secret}

    def transact(self, actions: Mapping[str, Any]) -> dict[str, None]:
        ((_, action),) = actions.items()
        self.secret = action["Put"]["Item"]["secret"]["S"]
        return {}


def test_a_secret_that_is_made_has_256_bits_of_its_own() -> None:
    made: list[str | None] = []
    for _ in range(2):
        table = Empty()
        Cursors(cast("Table", table)).seal(Caller("w"), {}, "here")
        made.append(table.secret)

    first, second = made
    assert first != second
    assert len(bytes.fromhex(str(first))) == 32


def test_a_process_reads_the_secret_once() -> None:
    table = Empty()
    cursors = Cursors(cast("Table", table))

    cursor = cursors.seal(Caller("w"), {}, "here")
    cursors.open(Caller("w"), {}, cursor)
    cursors.open(Caller("w"), {}, cursors.seal(Caller("w"), {}, "there"))

    assert table.reads == 1


def test_a_secret_that_was_read_is_kept_when_it_is_changed() -> None:
    """docs/operations.md says so, and to deploy."""
    table = Empty()
    running = Cursors(cast("Table", table))
    cursor = running.seal(Caller("w"), {}, "here")
    table.secret = "11" * 32

    assert running.open(Caller("w"), {}, cursor) == "here"
    with pytest.raises(InvalidInput):
        Cursors(cast("Table", table)).open(Caller("w"), {}, cursor)


def test_a_cursor_is_signed_with_128_bits_which_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest
    cursors = Cursors(cast("Table", OneSecret()))
    cursor = cursors.seal(Caller("w"), {}, "here")

    def note(first: bytes, second: bytes) -> bool:
        compared.append(len(first))
        return compare(first, second)

    monkeypatch.setattr("hmac.compare_digest", note)
    cursors.open(Caller("w"), {}, cursor)

    assert compared == [16]


def test_two_processes_that_make_the_secret_use_the_first() -> None:
    caller, query = Caller("w"), {"route": "/things"}

    cursor = Cursors(cast("Table", Overtaken())).seal(caller, query, "here")

    assert Cursors(cast("Table", OneSecret())).open(caller, query, cursor) == "here"


@pytest.mark.parametrize("length", range(1, 70))
def test_a_position_of_whatever_length_comes_back_from_its_cursor(length: int) -> None:
    cursors, caller, query = Cursors(cast("Table", OneSecret())), Caller("w"), {"route": "/things"}

    position = "W" * length  # in base64 this ends with all that it can end with

    cursor = cursors.seal(caller, query, position)

    assert cursors.open(caller, query, cursor) == position
    with pytest.raises(InvalidInput, match="Invalid page cursor"):
        cursors.open(caller, query | {"more": 1}, cursor)


# What zod's `z.string().base64()` admits; Seam's schema of `next_page_cursor` is made of it.
BASE64 = re.compile(r"([0-9a-zA-Z+/]{4})*(([0-9a-zA-Z+/]{2}==)|([0-9a-zA-Z+/]{3}=))?")


@pytest.mark.parametrize("length", range(1, 70))
def test_a_cursor_is_base64_as_the_published_schema_says(length: int) -> None:
    cursors = Cursors(cast("Table", OneSecret()))

    cursor = cursors.seal(Caller("w"), {"route": "/things"}, "W" * length)

    assert BASE64.fullmatch(cursor)


POSITION = "position 3"  # its cursor has "+", "/" and padding


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda cursor: cursor.translate(str.maketrans("+/", "-_")).rstrip("="), id="of an older version"),
        pytest.param(lambda cursor: cursor.replace("+", " "), id="with a + that was not encoded in an address"),
    ],
)
def test_a_cursor_is_taken(changed: Callable[[str], str]) -> None:
    cursors, caller, query = Cursors(cast("Table", OneSecret())), Caller("w"), {"route": "/things"}
    cursor = cursors.seal(caller, query, POSITION)

    assert {"+", "/", "="} <= set(cursor)
    assert cursors.open(caller, query, changed(cursor)) == POSITION


@pytest.mark.parametrize("more", ["=", "==", "====", " ", "A", "-", "\n"])
def test_a_cursor_with_more_behind_it_is_refused(more: str) -> None:
    cursors, caller, query = Cursors(cast("Table", OneSecret())), Caller("w"), {"route": "/things"}
    cursor = cursors.seal(caller, query, POSITION)

    with pytest.raises(InvalidInput, match="Invalid page cursor"):
        cursors.open(caller, query, cursor + more)
