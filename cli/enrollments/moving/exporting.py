"""Exports a workspace: its records, in the order in which they can be imported.

The workspace may be in use meanwhile.  A record that refers to something else is only exported after that.  So what is
deleted between two reads is left out with all that hangs on it, and so is what hangs on something that came later.
What moves from one thing to another between two reads, such as an address, would be read twice.  The later record is
then exported without it.

Requests to DynamoDB name a hundred things each.  Only what follows a launch is read person by person: it is in a
partition of its own for each, and no list finds a phone that was deactivated and is still at its manager.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import batched
from typing import Any

from pydantic import ValidationError

from enrollment.store.attributes import Item, elements
from enrollment.store.items import is_there, unique_keys
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    acs_user_key,
    acs_user_link_key,
    acs_user_listing_key,
    automation_key,
    credential_manager_listing_key,
    enrolled_listing_key,
    phones_partition,
    simulated_credential_key,
    simulated_phone_key,
    user_identity_key,
    user_identity_listing_key,
    user_identity_of,
)
from enrollment.store.table import MOST_KEYS, Table
from enrollment.use_cases.credential_items import is_of_one_phone
from enrollment.use_cases.links import is_usable
from enrollments.directory.exporting import listed_ids, listed_items
from enrollments.moving.planning import place_of
from enrollments.moving.records import (
    KIND_OF,
    KINDS,
    AcsUser,
    Automation,
    Credential,
    CredentialOfPhone,
    DeactivatedPhone,
    Phone,
    Pool,
    Record,
    Registration,
    SimulatedCredential,
    SimulatedPhone,
    System,
    UserIdentity,
    problems_of,
)
from enrollments.moving.restoring import BEING_RESTORED
from enrollments.seen_ids import SeenIds

# People whose phones are read together, and requests to DynamoDB at the same moment.
_PEOPLE_AT_ONCE = 500
_REQUESTS_AT_ONCE = 8

_SYSTEM, _POOL, _PERSON, _ACS_USER, _PARENT = (
    KIND_OF[model].number for model in (System, Pool, UserIdentity, AcsUser, Credential)
)
# What only one thing of the workspace can have: an address of a person, or a link to an ACS system.
_UNIQUE = len(KINDS)
_UNLINKED = 0


class NotExportableError(Exception):
    """Something is stored as no import would take it.  The message names it and says what to do."""


def export_records(
    table: Table, workspace_id: str, *, is_sandbox: bool, at_once: int = _REQUESTS_AT_ONCE
) -> Iterator[Record]:
    """Yield the records of a workspace.

    Args:
        table: The table.
        workspace_id: The workspace.
        is_sandbox: Whether its credential managers are simulated.
        at_once: How many requests to send to DynamoDB at the same moment.

    Raises:
        NotExportableError: Something is stored as no import would take it.
        ServiceUnavailable: The database stays out of reach.
    """
    with closing(SeenIds()) as seen, ThreadPoolExecutor(at_once) as executor:
        exporter = _Exporter(table, workspace_id, seen, executor)
        yield from exporter.systems()
        yield from exporter.pools()
        yield from exporter.people()
        yield from exporter.acs_users()
        yield from exporter.phones(is_sandbox=is_sandbox)
        yield from exporter.automations()


class _Exporter:
    def __init__(self, table: Table, workspace_id: str, seen: SeenIds, executor: Executor) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._seen = seen
        self._executor = executor

    def systems(self) -> Iterator[Record]:
        listing = acs_system_listing_key(self._workspace_id, "", "").pk
        for item in listed_items(self._table, listing, lambda one: acs_system_key(self._workspace_id, one)):
            if is_there(item):
                self._seen.note(_SYSTEM, str(item["acs_system_id"]), int(item["is_credential_manager"] is True))
                yield _record(System, item)

    def pools(self) -> Iterator[Record]:
        for manager_id in self._managers():
            listing = acs_credential_pool_listing_key(self._workspace_id, manager_id, "", "").pk
            pools = listed_items(self._table, listing, lambda one: acs_credential_pool_key(self._workspace_id, one))
            for item in pools:
                if is_there(item):
                    self._seen.note(_POOL, str(item["acs_credential_pool_id"]), 1)
                    yield _record(Pool, item)

    def people(self) -> Iterator[Record]:
        listing = user_identity_listing_key(self._workspace_id, "", "").pk
        people = listed_items(self._table, listing, lambda one: user_identity_key(self._workspace_id, one))
        for number, item in enumerate((one for one in people if is_usable(one)), 1):
            self._seen.note(_PERSON, str(item["user_identity_id"]), number)
            taken = {name for name, key in unique_keys(self._workspace_id, item).items() if self._is_taken(key)}
            yield _record(UserIdentity, _without(item, taken))

    def _is_taken(self, key: Key) -> bool:
        """Return whether an earlier record has what only one can have.  If not, this one has it."""
        return self._seen.note(_UNIQUE, place_of(key), 1) is not None

    def acs_users(self) -> Iterator[Record]:
        listing = acs_user_listing_key(self._workspace_id, "", "").pk
        items = listed_items(self._table, listing, lambda one: acs_user_key(self._workspace_id, one))
        for item in items:
            if not self._has(_SYSTEM, item, "acs_system_id"):
                continue
            person = self._number(_PERSON, item, "user_identity_id") if "user_identity_id" in item else _UNLINKED
            if person is None and not self._is_new(str(item["user_identity_id"])):
                continue
            if person and self._is_taken(self._link_of(item)):
                person = _UNLINKED
            self._seen.note(_ACS_USER, str(item["acs_user_id"]), person or _UNLINKED)
            yield _record(AcsUser, item if person else _without(item, {"user_identity_id"}))

    def _link_of(self, acs_user: Item) -> Key:
        return acs_user_link_key(self._workspace_id, str(acs_user["user_identity_id"]), str(acs_user["acs_system_id"]))

    def _is_new(self, user_identity_id: str) -> bool:
        """Return whether a person came after the people were read.  Else the person is gone, or is being deleted."""
        item = self._table.get(user_identity_key(self._workspace_id, user_identity_id))
        return item is not None and is_usable(item)

    def phones(self, *, is_sandbox: bool) -> Iterator[Record]:
        """Yield the credentials, then what simulated managers know, then the phones, of some people after the other."""
        listing = user_identity_listing_key(self._workspace_id, "", "").pk
        ids = (one for one in listed_ids(self._table, listing) if self._seen.number_of(_PERSON, one) is not None)
        for some in batched(ids, _PEOPLE_AT_ONCE, strict=False):
            partitions = (phones_partition(self._workspace_id, one) for one in some)
            read = list(self._executor.map(self._table.query, partitions))
            for items in read:
                yield from self._credentials(items)
            phones = [phone for items in read for phone in self._phones(items)]
            if is_sandbox:
                yield from self._simulated(phones)
            yield from phones

    def _credentials(self, items: Iterable[Item]) -> Iterator[Record]:
        for item in items:
            if not _is(item, "CREDENTIAL#") or is_of_one_phone(item):
                continue
            names = ("acs_system_id", "credential_manager_acs_system_id")
            if self._is_owned(item) and all(self._has(_SYSTEM, item, name) for name in names):
                self._seen.note(_PARENT, str(item["acs_credential_id"]), 1)
                yield _record(Credential, item)

    def _is_owned(self, credential: Item) -> bool:
        """Return whether the ACS user of a credential is linked to its person, as far as both are exported."""
        owner = self._number(_ACS_USER, credential, "acs_user_id")
        return bool(owner) and owner == self._number(_PERSON, credential, "user_identity_id")

    def _phones(self, items: Sequence[Item]) -> Iterator[Phone | DeactivatedPhone]:
        """Yield a person's phones."""
        children = {str(one["acs_credential_id"]): one for one in items if _is(one, "CREDENTIAL#")}
        registrations: dict[str, list[Registration]] = {}
        for item in items:
            if _is(item, "REGISTRATION#") and self._has(_SYSTEM, item, "credential_manager_acs_system_id"):
                if BEING_RESTORED in item:
                    raise NotExportableError(
                        f"phone {item['device_id']} is imported in part only; finish the import first, then export the "
                        "workspace again"
                    )
                named = [children[one] for one in elements(item.get("acs_credential_ids")) if one in children]
                credentials = [_record(CredentialOfPhone, one) for one in named if self._is_exported_with_phone(one)]
                registration = _record(Registration, item, credentials=credentials)
                registrations.setdefault(str(item["device_id"]), []).append(registration)
        for item in items:
            if _is(item, "PHONE#"):
                yield _record(Phone, item, registrations=registrations.pop(str(item["device_id"]), []))
        person_id = user_identity_of(str(items[0]["pk"]))[1] if items else ""
        for device_id, left in registrations.items():
            yield DeactivatedPhone(device_id=device_id, user_identity_id=person_id, registrations=left)

    def _is_exported_with_phone(self, child: Item) -> bool:
        if "being_deleted_at" in child:  # it only waits to be revoked
            return True
        source = (
            self._has(_PARENT, child, "parent_acs_credential_id")
            if "parent_acs_credential_id" in child
            else self._has(_POOL, child, "acs_credential_pool_id")
        )
        return source and self._is_owned(child)

    def _simulated(self, phones: Iterable[Phone | DeactivatedPhone]) -> Iterator[Record]:
        phone_keys: dict[Key, tuple[str, str]] = {}
        credential_keys: dict[Key, tuple[str, str, str]] = {}
        for phone in phones:
            for registration in phone.registrations:
                at = (registration.credential_manager_acs_system_id, registration.phone_registration_id)
                phone_keys[simulated_phone_key(self._workspace_id, *at)] = at
                for child in registration.credentials:
                    key = simulated_credential_key(self._workspace_id, *at, child.acs_credential_id)
                    credential_keys[key] = (*at, child.acs_credential_id)
        found = self._read_all([*phone_keys, *credential_keys])
        for key, (system_id, registration_id) in phone_keys.items():
            if key in found:
                at_manager = {"acs_system_id": system_id, "phone_registration_id": registration_id}
                yield _record(SimulatedPhone, found[key], **at_manager)
        for key, (system_id, registration_id, credential_id) in credential_keys.items():
            if key in found:
                at_manager = {"acs_system_id": system_id, "phone_registration_id": registration_id}
                yield _record(SimulatedCredential, found[key], acs_credential_id=credential_id, **at_manager)

    def _read_all(self, keys: Sequence[Key]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for some in self._executor.map(self._table.batch_get, batched(keys, MOST_KEYS, strict=False)):
            found |= some
        return found

    def automations(self) -> Iterator[Record]:
        for manager_id in self._managers():
            listing = enrolled_listing_key(self._workspace_id, manager_id, "").pk
            enrolled = listed_items(self._table, listing, partial(self._automation_key, manager_id))
            for item in enrolled:
                has_pool = "requested_acs_credential_pool_id" not in item or self._has(
                    _POOL, item, "requested_acs_credential_pool_id"
                )
                if has_pool and self._has(_PERSON, item, "user_identity_id"):
                    yield _record(Automation, item)

    def _automation_key(self, manager_id: str, user_identity_id: str) -> Key:
        return automation_key(self._workspace_id, user_identity_id, manager_id)

    def _managers(self) -> Iterator[str]:
        listing = credential_manager_listing_key(self._workspace_id, "", "").pk
        return (one for one in listed_ids(self._table, listing) if self._seen.number_of(_SYSTEM, one))

    def _number(self, kind: int, item: Item, name: str) -> int | None:
        return self._seen.number_of(kind, str(item[name]))

    def _has(self, kind: int, item: Item, name: str) -> bool:
        return self._number(kind, item, name) is not None


def _record[R: Record](model: type[R], item: Item, **more: Any) -> R:
    try:
        return model.of_item(item, **more)
    except ValidationError as invalid:
        ((name, reason), *_) = problems_of(invalid)
        raise NotExportableError(
            f"{item['pk']} {item['sk']}: {name or 'item'}: {reason}; correct it and export the workspace again"
        ) from invalid


def _is(item: Item, kind: str) -> bool:
    return str(item["sk"]).startswith(kind)


def _without(item: Item, names: Collection[str]) -> Item:
    return {one: value for one, value in item.items() if one not in names}
