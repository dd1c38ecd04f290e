"""Pages of lists: which records a page has, and where the next one begins.

A position is the sort key of an entry, so it stays valid whatever is created and deleted meanwhile.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from pydantic import BaseModel

from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import MOST_KEYS, Table
from enrollment.timestamps import timestamp

MOST_RECORDS = 1000

# A filter that few records pass must not make a request read a whole workspace.  After so many records the page ends,
# perhaps empty, and there is a next one.
_MOST_EXAMINED = 5000

# An answer may have 6 MB on its way out of Lambda.  There it is JSON inside of JSON, which can be 3.5 times as long.
_MOST_BYTES = 1_500_000
_LAST_SK = "\uffff"


class Page[Record](NamedTuple):
    """A part of a list.

    Attributes:
        records: Its records.
        next_position: The position behind which the next page begins; ``None`` if this is the last.
    """

    records: list[Record]
    next_position: str | None


def read_page[Record: BaseModel](
    positions: Iterator[str],
    load: Callable[[Sequence[str]], Sequence[Record | None]],
    keep: Callable[[Record], bool],
    limit: int,
) -> Page[Record]:
    """Return a page.

    Args:
        positions: Positions of records that it may have, in the list's order.
        load: Returns the record at each of up to 100 positions; ``None`` where it has been deleted.
        keep: Whether a record belongs to the list.
        limit: The most records that it may have; never more than 1,000.
    """
    limit = min(limit, MOST_RECORDS)
    records: list[Record] = []
    examined = size = 0
    while len(records) < limit:
        # If some do not belong to the list, it is unknown how many it takes to fill the page.
        is_filtered = len(records) < examined
        chunk = list(islice(positions, MOST_KEYS if is_filtered else min(MOST_KEYS, limit - len(records))))
        if not chunk:
            break
        for position, record in zip(chunk, load(chunk), strict=True):
            examined += 1
            if record is not None and keep(record):
                records.append(record)
                size += len(record.model_dump_json())
            is_full = len(records) == limit or examined == _MOST_EXAMINED or size >= _MOST_BYTES
            if is_full and (position != chunk[-1] or next(positions, None) is not None):
                return Page(records, position)
    return Page(records, None)


def newest_first(
    table: Table, listing: str, *, before: datetime | None = None, after: str | None = None, limit: int
) -> Iterator[str]:
    """Yield the positions of a list by age, the newest first.

    Args:
        table: The table.
        listing: The listing's partition.
        before: Yield only positions of things that were created before this moment.
        after: Yield only positions behind this one.
        limit: About how many will be taken.
    """
    last = _LAST_SK if before is None else _written(before)
    entries = table.walk(listing, last_sk=last, after=after, backwards=True, at_once=entries_at_once(limit))
    return (str(entry["sk"]) for entry in entries)


def entries_at_once(limit: int) -> int:
    """Return how many entries of a list to read with one request, for a page of so many records."""
    return max(MOST_KEYS, min(limit, MOST_RECORDS)) + 1


def positions_of(
    items: Iterable[Item], id_name: str, *, before: datetime | None = None, after: str | None = None
) -> Iterator[str]:
    """Yield the positions that items would have in a list by age, the newest first."""
    last = _LAST_SK if before is None else _written(before)
    positions = {f"{item['created_at']}#{item[id_name]}" for item in items}
    return (
        position
        for position in sorted(positions, reverse=True)
        if position < last and (after is None or position < after)
    )


def is_found(search: str | None, values: Iterable[object]) -> bool:
    """Return whether one of the values contains a text; without a text to search for, everything is found.

    Case does not matter.  Nor does it matter which of Unicode's canonically equal forms a text has: "é" is also found
    where it is written as "e" and an accent, as macOS writes names.
    """
    if search is None:
        return True
    wanted = _caseless(search)
    return any(wanted in _caseless(str(value)) for value in values if value is not None)


def _caseless(text: str) -> str:
    """Return a text in the form in which it is compared without regard to case (Unicode, D145).

    It is decomposed before folding, which looks at one character at a time, and composed again, so that "e" is not
    found in "é".
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _written(before: datetime) -> str:
    """Return how positions of a moment begin, rounded up to a millisecond: all that is older is less."""
    ahead = timedelta(microseconds=-before.microsecond % 1000)
    return timestamp(before + ahead)


def load_by_id(
    table: Table, ids: Sequence[str], by_id_key: Callable[[str], Key], own_key: Callable[[str, str], Key]
) -> list[Item | None]:
    """Return things of user identities, which are found by their ids alone; ``None`` for each that does not exist.

    Args:
        table: The table.
        ids: Their ids.
        by_id_key: Returns the key of the item that names a thing's user identity.
        own_key: Returns the key of a thing's own item, from the ids of its user identity and itself.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    by_id = table.get_all(map(by_id_key, ids))
    named = [by_id.get(by_id_key(one)) for one in ids]
    keys = [
        None if item is None else own_key(str(item["user_identity_id"]), one)
        for item, one in zip(named, ids, strict=True)
    ]
    found = table.get_all(key for key in keys if key is not None)
    return [None if key is None else found.get(key) for key in keys]
