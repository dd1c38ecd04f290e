"""Events: how they are listed and got."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from enrollment.callers import Caller
from enrollment.errors import EventNotFound
from enrollment.resources.events import Event, GetEventRequest, ListEventsRequest
from enrollment.store.attributes import Item
from enrollment.store.keys import event_key, event_listing_key, event_of_user_identity_listing_key
from enrollment.store.listings import Page, entries_at_once, read_page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp

# An entry's position begins with the moment and this sign; the next sign after it comes behind all entries of a moment.
_AFTER_MOMENT = chr(ord("#") + 1)
_LAST_POSITION = "\uffff"

# The contract gives only events of these types a `user_identity_id` ("Events").
_TYPES_WITH_USER_IDENTITY = ("enrollment_automation.", "phone.")

# Published filters for things that do not exist here.
_OF_UNKNOWN_THINGS = (
    "access_code_id",
    "access_code_ids",
    "access_grant_id",
    "access_grant_ids",
    "access_method_id",
    "access_method_ids",
    "acs_access_group_id",
    "acs_encoder_id",
    "acs_entrance_id",
    "connect_webview_id",
    "customer_key",
    "space_id",
    "space_ids",
)
# Filters with one value, which are called as the property that must have it; and those with several.
_FILTERS = (
    "event_type",
    "user_identity_id",
    "acs_system_id",
    "acs_user_id",
    "acs_credential_id",
    "connected_account_id",
    "device_id",
)
_FILTERS_OF_SEVERAL = {
    "event_ids": "event_id",
    "event_types": "event_type",
    "acs_system_ids": "acs_system_id",
    "device_ids": "device_id",
}


def get_event(table: Table, caller: Caller, request: GetEventRequest) -> Event:
    """Return an event.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        EventNotFound: There is none, it is no longer kept, or the caller does not see it.
        ServiceUnavailable: The database stays out of reach.
    """
    item = table.get(event_key(caller.workspace_id, request.event_id))
    wanted = {"event_type": request.event_type, "device_id": request.device_id}
    if (
        item is None
        or not _is_kept(item)
        or not _is_seen(caller, item)
        or any(value is not None and item.get(name) != value for name, value in wanted.items())
    ):
        raise EventNotFound
    return event_of(item)


def list_events(table: Table, caller: Caller, request: ListEventsRequest, after: str | None = None) -> Page[Event]:
    """Return a page of events, in the order in which they were created; a client session sees its identities' events.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if any(getattr(request, name) is not None for name in _OF_UNKNOWN_THINGS):
        return Page([], None)
    first, last = _positions_between(request)
    if first > last:
        return Page([], None)
    at_once = entries_at_once(request.limit)
    walks = [
        table.walk(listing, first, last, after=after, at_once=at_once)
        for listing in _listings(caller, request.user_identity_id)
    ]
    entries: dict[str, Item] = {}

    def positions() -> Iterator[str]:
        for entry in heapq.merge(*walks, key=lambda entry: str(entry["sk"])):
            position = str(entry["sk"])
            entries[position] = entry
            yield position

    def load(some: Sequence[str]) -> list[Event | None]:
        items = [entries.pop(position) for position in some]
        return [event_of(item) if _is_kept(item) and _is_wanted(request, item) else None for item in items]

    return read_page(positions(), load, lambda _: True, request.limit)


def event_of(item: Item) -> Event:
    """Return an event as the API answers it."""
    known = {name: value for name, value in item.items() if name in Event.model_fields}
    if not str(item["event_type"]).startswith(_TYPES_WITH_USER_IDENTITY):
        known.pop("user_identity_id", None)
    return Event.model_validate(known)


def _listings(caller: Caller, user_identity_id: str | None) -> list[str]:
    """Return the partitions that have the events which a caller sees, each event once."""
    if user_identity_id is not None:
        named = {user_identity_id} if caller.sees(user_identity_id) else set()
    elif caller.user_identity_ids is not None:
        named = set(caller.user_identity_ids)
    else:
        return [event_listing_key(caller.workspace_id, "", "", "").pk]
    return [
        event_of_user_identity_listing_key(caller.workspace_id, identity_id, "", "", "").pk
        for identity_id in sorted(named)
    ]


def _positions_between(request: ListEventsRequest) -> tuple[str, str]:
    """Return the first and the last position that a list may have.  Both of its ends are excluded."""
    begins, ends = [], []
    if request.since is not None:
        begins.append(request.since)
    if request.between is not None:
        begins.append(request.between[0])
        ends.append(request.between[1])
    # Entries have milliseconds.  A part of one is cut off at the beginning, and rounded up at the end.
    first = f"{timestamp(max(begins))}{_AFTER_MOMENT}"
    last = timestamp(min(ends) + _rest_of_millisecond(min(ends))) if ends else _LAST_POSITION
    return first, last


def _rest_of_millisecond(moment: datetime) -> timedelta:
    return timedelta(microseconds=-moment.microsecond % 1000)


def _is_kept(item: Item) -> bool:
    # DynamoDB deletes an expired item within days, not at once.
    return int(item["deleted_after"]) > datetime.now(UTC).timestamp()  # type: ignore[arg-type]


def _is_seen(caller: Caller, item: Item) -> bool:
    return caller.user_identity_ids is None or caller.sees(str(item.get("user_identity_id")))


def _is_wanted(request: ListEventsRequest, item: Item) -> bool:
    return all((wanted := getattr(request, name)) is None or item.get(name) == wanted for name in _FILTERS) and all(
        (several := getattr(request, name)) is None or item.get(of) in several
        for name, of in _FILTERS_OF_SEVERAL.items()
    )
