"""Finds and mends needless and missing entries of a workspace, and incomplete links.

Every entry is derived from a record.  An entry is right if ``enrollment.store.items`` derives it from its record.  The
workspace may be in use meanwhile.  So an item that looks wrong is read again before it becomes a finding, and each
mending transaction checks that the items are as they were read.

The workspace itself and its client sessions are looked at, too; the records of tokens are not, as they are outside of
it.  Events, webhooks and held deliveries are no part of the directory, and are passed over.  An event and its entries
are put in one transaction and never changed, so looking each of them up would cost more than it could find.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import batched

from enrollment.store.actions import Action, change, delete, put_new, require, require_absent
from enrollment.store.attributes import Item, elements
from enrollment.store.changes import RESTORED_AT
from enrollment.store.items import (
    client_session_pointers,
    is_there,
    stored_acs_credential,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_client_session,
    stored_phone,
    stored_user_identity,
    stored_workspace,
)
from enrollment.store.keys import (
    Key,
    acs_credential_key,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    automation_key,
    client_session_key,
    key_of,
    listed_id,
    phone_key,
    user_identity_key,
    workspace_prefix,
)
from enrollment.store.table import MOST_KEYS, Table
from enrollment.use_cases.client_session_items import take_from_session, user_identities_of
from enrollments.directory.credentials import (
    Fault,
    execution_key_of,
    faults_of_acs_user,
    faults_of_credential,
    faults_of_enrollment,
    faults_of_phone,
    related_to_acs_user,
    related_to_credential,
    stored_enrollment,
)

# Another client may be changing an item.  Then it is right again at the next read.
_READS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault in the workspace.

    Attributes:
        about: The record with the fault: its kind and id, never a name or an address.
        problem: The fault.
        is_mended: Whether the fault has been mended.
    """

    about: str
    problem: str
    is_mended: bool = False


@dataclass(frozen=True, slots=True)
class _Problem:
    about: str
    text: str
    mend: Mapping[str, Action] = field(default_factory=dict)
    # Many items can show the same problem.
    is_reported_once: bool = False


@dataclass(frozen=True, slots=True)
class _Record:
    """A kind of record: an item from which entries are derived.

    Attributes:
        name: Its name in findings.
        key: Matches its key.
        id_name: The attribute with its id.
        stored: Returns the item and the entries that must be there.
        allowed: Returns further entries, which can be there.
    """

    name: str
    key: re.Pattern[str]
    id_name: str
    stored: Callable[[Item], dict[Key, Item]]
    allowed: Callable[[Item], dict[Key, Item]] = lambda _: {}


def _stored_with_link(acs_user: Item) -> dict[Key, Item]:
    stored = stored_acs_user(acs_user)
    if "user_identity_id" in acs_user:
        link = {"acs_user_id": acs_user["acs_user_id"]}
        stored[_link_key(acs_user)] = link
    return stored


# The patterns match the partition key without the workspace, a line feed, and the sort key.
_RECORDS = (
    _Record(
        "user identity", re.compile(r"USER_IDENTITY#[^#]+\nUSER_IDENTITY"), "user_identity_id", stored_user_identity
    ),
    _Record(
        "automation",
        re.compile(r"USER_IDENTITY#[^#]+\nENROLLMENT_AUTOMATION#.+"),
        "enrollment_automation_id",
        stored_automation,
    ),
    _Record("ACS system", re.compile(r"ACS_SYSTEM#[^#]+\nACS_SYSTEM"), "acs_system_id", stored_acs_system),
    _Record(
        "credential pool",
        re.compile(r"ACS_CREDENTIAL_POOL#.+\nACS_CREDENTIAL_POOL"),
        "acs_credential_pool_id",
        stored_acs_credential_pool,
    ),
    _Record("workspace", re.compile(r"WORKSPACE\nWORKSPACE"), "workspace_id", stored_workspace),
    _Record(
        "client session",
        re.compile(r"CLIENT_SESSION#[^#]+\nCLIENT_SESSION"),
        "client_session_id",
        stored_client_session,
        client_session_pointers,
    ),
    _Record("ACS user", re.compile(r"ACS_USER#.+\nACS_USER"), "acs_user_id", _stored_with_link),
    _Record("phone", re.compile(r"USER_IDENTITY#[^#]+#PHONES\nPHONE#.+"), "device_id", stored_phone),
    _Record(
        "credential",
        re.compile(r"USER_IDENTITY#[^#]+#PHONES\nCREDENTIAL#.+"),
        "acs_credential_id",
        stored_acs_credential,
    ),
    _Record(
        "enrollment of user identity",
        re.compile(r"USER_IDENTITY#[^#]+#PHONES\nENROLLMENT#.+"),
        "user_identity_id",
        stored_enrollment,
    ),
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A kind of entry.

    Attributes:
        name: Its name in findings.
        record: The kind of record that it is derived from.
        key: Matches its key.
        source: Returns the key of its record.
    """

    name: str
    record: str
    key: re.Pattern[str]
    source: Callable[[str, Key, Item, re.Match[str]], Key]


_ENTRIES = (
    _Entry(
        "entry in the list of user identities",
        "user identity",
        re.compile(r"USER_IDENTITIES\n.+"),
        lambda workspace_id, key, _item, _match: user_identity_key(workspace_id, listed_id(key.sk)),
    ),
    _Entry(
        "entry that keeps a value unique",
        "user identity",
        re.compile(r"UNIQUE_[A-Z_]+#.*\nUNIQUE_[A-Z_]+", re.DOTALL),
        lambda workspace_id, _key, item, _match: user_identity_key(workspace_id, str(item["user_identity_id"])),
    ),
    _Entry(
        "entry for finding it by its id",
        "automation",
        re.compile(r"ENROLLMENT_AUTOMATION#.+\nENROLLMENT_AUTOMATION"),
        lambda workspace_id, _key, item, _match: automation_key(
            workspace_id, str(item["user_identity_id"]), str(item["credential_manager_acs_system_id"])
        ),
    ),
    _Entry(
        "entry in the list of enrolled user identities",
        "automation",
        re.compile(r"ACS_SYSTEM#(?P<system>[^#]+)#USER_IDENTITIES\n.+"),
        lambda workspace_id, key, _item, match: automation_key(workspace_id, key.sk, match["system"]),
    ),
    _Entry(
        "entry in a list of ACS users",
        "ACS user",
        re.compile(r"(?:ACS_SYSTEM#[^#]+#)?ACS_USERS\n.+"),
        lambda workspace_id, key, _item, _match: acs_user_key(workspace_id, listed_id(key.sk)),
    ),
    _Entry(
        "entry for finding it by an address",
        "ACS user",
        re.compile(r"ACS_SYSTEM#[^#]+#ACS_USERS_BY_[A-Z_]+#.*\n.+", re.DOTALL),
        lambda workspace_id, key, _item, _match: acs_user_key(workspace_id, key.sk),
    ),
    _Entry(
        "link to a user identity",
        "ACS user",
        re.compile(r"USER_IDENTITY#[^#]+\nACS_USER#.+"),
        lambda workspace_id, _key, item, _match: acs_user_key(workspace_id, str(item["acs_user_id"])),
    ),
    _Entry(
        "entry in a list of client sessions",
        "client session",
        re.compile(r"(?:USER_IDENTITY#[^#]+#CLIENT_SESSIONS|CLIENT_SESSIONS(?:_OF_KEY#.*)?)\n.+", re.DOTALL),
        lambda workspace_id, key, _item, _match: client_session_key(workspace_id, listed_id(key.sk)),
    ),
    _Entry(
        "entry for getting it again",
        "client session",
        re.compile(r"CLIENT_SESSION_OF_(?:KEY|USER_IDENTITIES)#.*\nCLIENT_SESSION_OF_\w+", re.DOTALL),
        lambda workspace_id, _key, item, _match: client_session_key(workspace_id, str(item["client_session_id"])),
    ),
    _Entry(
        "entry in a list of ACS systems",
        "ACS system",
        re.compile(r"(?:ACS_SYSTEMS|CREDENTIAL_MANAGERS)\n.+"),
        lambda workspace_id, key, _item, _match: acs_system_key(workspace_id, listed_id(key.sk)),
    ),
    _Entry(
        "entry in its system's list of credential pools",
        "credential pool",
        re.compile(r"ACS_SYSTEM#[^#]+#ACS_CREDENTIAL_POOLS\n.+"),
        lambda workspace_id, key, _item, _match: acs_credential_pool_key(workspace_id, listed_id(key.sk)),
    ),
    _Entry(
        "entry in the list of phones",
        "phone",
        re.compile(r"PHONES\n.+"),
        lambda workspace_id, key, item, _match: phone_key(
            workspace_id, str(item["user_identity_id"]), listed_id(key.sk)
        ),
    ),
    _Entry(
        "entry for finding it by its id",
        "phone",
        re.compile(r"PHONE#.+\nPHONE"),
        lambda workspace_id, key, item, _match: phone_key(
            workspace_id, str(item["user_identity_id"]), listed_id(key.pk)
        ),
    ),
    _Entry(
        "entry for finding it by its installation",
        "phone",
        re.compile(r"USER_IDENTITY#(?P<identity>[^#]+)#PHONES\nINSTALLATION#.+", re.DOTALL),
        lambda workspace_id, _key, item, match: phone_key(workspace_id, match["identity"], str(item["device_id"])),
    ),
    _Entry(
        "entry in a list of credentials",
        "credential",
        re.compile(r"(?:ACS_SYSTEM#[^#]+#)?ACS_CREDENTIALS\n.+"),
        lambda workspace_id, key, item, _match: acs_credential_key(
            workspace_id, str(item["user_identity_id"]), listed_id(key.sk)
        ),
    ),
    _Entry(
        "entry for finding it by its id",
        "credential",
        re.compile(r"ACS_CREDENTIAL#.+\nACS_CREDENTIAL"),
        lambda workspace_id, key, item, _match: acs_credential_key(
            workspace_id, str(item["user_identity_id"]), listed_id(key.pk)
        ),
    ),
)


_DELETION = {"ACS system": "delete-system", "credential pool": "delete-pool"}
_OF_USER_IDENTITY = {"ACS user", "automation", "credential", "enrollment of user identity", "phone"}
_FAULTS: Mapping[str, Callable[[Item, Mapping[Key, Item]], Iterator[Fault]]] = {
    "ACS user": faults_of_acs_user,
    "credential": faults_of_credential,
    "enrollment of user identity": faults_of_enrollment,
    "phone": faults_of_phone,
}


def check(table: Table, workspace_id: str, *, mend: bool = False) -> Iterator[Finding]:
    """Yield the faults of a workspace, and mend them if that is wanted and possible.

    This reads the whole table once.  It holds 100 items at most, with the items that these refer to.

    Args:
        table: The table.
        workspace_id: The workspace.
        mend: Mend the faults that need no decision of a person.

    Raises:
        ServiceUnavailable: The database stays out of reach.  The mended findings so far stay mended.
    """
    checker = _Checker(table, workspace_id)
    for items in batched(table.scan(workspace_prefix(workspace_id)), MOST_KEYS, strict=False):
        found = table.get_all(key for item in items for key in checker.related(key_of(item), item))
        for item in items:
            if checker.problems(key_of(item), item, found):
                yield from checker.check_again(key_of(item), mend=mend)


class _Checker:
    def __init__(self, table: Table, workspace_id: str) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._prefix = workspace_prefix(workspace_id)
        self._reported: set[str] = set()

    def check_again(self, key: Key, *, mend: bool) -> Iterator[Finding]:
        problems: list[_Problem] = []
        for _ in range(_READS):
            item = self._table.get(key)
            if item is None:
                return
            problems = self.problems(key, item, self._table.get_all(self.related(key, item)))
            if mend:
                mended = [problem for problem in problems if self._try_to_mend(problem)]
                yield from (Finding(problem.about, problem.text, is_mended=True) for problem in mended)
                problems = [problem for problem in problems if problem not in mended]
            if not problems:
                return
        for problem in problems:
            if problem.about not in self._reported:
                yield Finding(problem.about, problem.text)
            if problem.is_reported_once:
                self._reported.add(problem.about)

    def _try_to_mend(self, problem: _Problem) -> bool:
        return bool(problem.mend) and not self._table.transact(problem.mend)

    def related(self, key: Key, item: Item) -> list[Key]:
        """Return the keys of the other items that decide whether an item is right."""
        if record := self._record(key):
            others = [other for other in record.stored(_unkeyed(item)) if other != key]
            others += [acs_user_key(self._workspace_id, one) for one in elements(item.get("acs_user_ids"))]
            if record.name in _OF_USER_IDENTITY and "user_identity_id" in item:
                others.append(_identity_key(item))
            if record.name == "ACS user":
                others += related_to_acs_user(item)
            if record.name == "credential":
                others += related_to_credential(item)
            if record.name == "enrollment of user identity":
                others.append(execution_key_of(item))
            if record.name == "client session":
                others += [user_identity_key(self._workspace_id, one) for one in user_identities_of(item)]
            if (system := self._system_of(record, item)) is not None:
                others.append(system)
            return others
        source = self._source(key, item)
        return [] if source is None else [source[1]]

    def problems(self, key: Key, item: Item, found: Mapping[Key, Item]) -> list[_Problem]:
        """Return the problems of an item.

        Args:
            key: Its key.
            item: The item.
            found: The existing items of ``related``.
        """
        record = self._record(key)
        if record is None:
            return self._problems_of_entry(key, item, found)
        about = f"{record.name} {item[record.id_name]}"
        problems = [*self._missing_entries(about, record, key, item, found)]
        if record.name == "ACS user" and "user_identity_id" in item:
            problems += self._problems_of_link(about, key, item, found)
        if record.name == "user identity":
            problems += self._problems_of_list(about, key, item, found)
        if record.name == "automation" and _identity_key(item) not in found:
            itself, *others = stored_automation(_unkeyed(item))
            mend = {
                "user_identity": require_absent(_identity_key(item)),
                "record": delete(itself, _as_read(item)),
                **{str(number): delete(other) for number, other in enumerate(others)},
            }
            return [_Problem(about, "its user identity does not exist", mend)]
        if record.name == "client session":
            problems += self._problems_of_session(about, _unkeyed(item), found)
        if record.name in _FAULTS:
            problems += [_Problem(about, text, mend) for text, mend in _FAULTS[record.name](_unkeyed(item), found)]
        problems += self._problems_of_system(about, record, item, found)
        if record.name in _DELETION and not is_there(item):
            command = f"enrollments directory {_DELETION[record.name]}"
            problems.append(_Problem(about, f"its deletion has begun and not ended; to finish it, run: {command}"))
        return problems

    def _problems_of_session(self, about: str, session: Item, found: Mapping[Key, Item]) -> Iterator[_Problem]:
        """An older release deletes a user identity without its client sessions."""
        identities = {one: user_identity_key(self._workspace_id, one) for one in user_identities_of(session)}
        gone = {one: key for one, key in identities.items() if key not in found}
        if gone:
            mend = take_from_session(self._table, session, gone.keys())
            mend |= {str(key): require_absent(key) for key in gone.values()}
            yield _Problem(about, "sees a user identity that does not exist", mend)

    def _missing_entries(
        self, about: str, record: _Record, key: Key, item: Item, found: Mapping[Key, Item]
    ) -> Iterator[_Problem]:
        for entry_key, entry in record.stored(_unkeyed(item)).items():
            if entry_key == key or _is_link(entry_key):
                continue
            name = self._entry_name(entry_key, entry)
            if entry_key not in found:
                mend = {"record": require(key, _as_read(item)), "entry": put_new(entry_key, entry)}
                yield _Problem(about, f"its {name} is missing", mend)
            elif _unkeyed(found[entry_key]) != entry:
                yield _Problem(about, f"its {name} belongs to another record; change one of the two")

    def _problems_of_entry(self, key: Key, item: Item, found: Mapping[Key, Item]) -> list[_Problem]:
        source = self._source(key, item)
        if source is None:  # no part of the directory, or a kind of item that this release does not know
            return []
        entry, source_key = source
        record_item = found.get(source_key)
        record = self._record(source_key)
        about = f"{entry.record} {self._id_of(source_key, entry, key, item)}"
        if record_item is None or record is None:
            mend = {"record": require_absent(source_key), "entry": delete(key)}
            return [_Problem(about, f"does not exist, but its {entry.name} does", mend)]
        derived = record.stored(_unkeyed(record_item)) | record.allowed(_unkeyed(record_item))
        if derived.get(key) == _as_if_new(item):
            return []
        mend = {"record": require(source_key, _as_read(record_item)), "entry": delete(key)}
        return [_Problem(about, f"has a needless {entry.name}", mend)]

    def _problems_of_link(self, about: str, key: Key, item: Item, found: Mapping[Key, Item]) -> Iterator[_Problem]:
        identity_key, link_key = _identity_key(item), _link_key(item)
        identity, link = found.get(identity_key), found.get(link_key)
        if identity is None:
            unlink = change(key, remove=["user_identity_id"], where=_as_read(item))
            mend = {"record": unlink, "user_identity": require_absent(identity_key)}
            yield _Problem(about, "is linked to a user identity that does not exist", mend)
            return
        itself = {"record": require(key, _as_read(item))}
        if link is None:
            mend = {**itself, "link": put_new(link_key, {"acs_user_id": item["acs_user_id"]})}
            yield _Problem(about, "its link to its user identity is missing", mend)
        elif link["acs_user_id"] != item["acs_user_id"]:
            text = (
                f"its user identity has another ACS user in that system, {link['acs_user_id']}; remove one of the two"
            )
            yield _Problem(about, text)
        if item["acs_user_id"] not in elements(identity.get("acs_user_ids")):
            listed = change(identity_key, add={"acs_user_ids": frozenset({str(item["acs_user_id"])})})
            yield _Problem(about, "its user identity does not list it", {**itself, "user_identity": listed})

    def _problems_of_list(self, about: str, key: Key, item: Item, found: Mapping[Key, Item]) -> Iterator[_Problem]:
        for acs_user_id in elements(item.get("acs_user_ids")):
            acs_user_at = acs_user_key(self._workspace_id, acs_user_id)
            acs_user = found.get(acs_user_at)
            if acs_user is not None and acs_user.get("user_identity_id") == item["user_identity_id"]:
                continue
            as_seen = require_absent(acs_user_at) if acs_user is None else require(acs_user_at, _as_read(acs_user))
            mend = {
                "acs_user": as_seen,
                "user_identity": change(key, discard={"acs_user_ids": frozenset({acs_user_id})}),
            }
            yield _Problem(about, f"lists ACS user {acs_user_id}, which is not linked to it", mend)

    def _problems_of_system(
        self, about: str, record: _Record, item: Item, found: Mapping[Key, Item]
    ) -> Iterator[_Problem]:
        key = self._system_of(record, item)
        if key is None:
            return
        system = found.get(key)
        if system is None:
            yield _Problem(about, "its ACS system does not exist; import the system")
        elif record.name not in {"ACS user", "credential"} and not system["is_credential_manager"]:
            about_system = f"ACS system {system['acs_system_id']}"
            if about_system not in self._reported:
                text = (
                    "has credential pools or enrolled user identities, but is not a credential manager; "
                    "import it as one"
                )
                yield _Problem(about_system, text, is_reported_once=True)

    def _system_of(self, record: _Record, item: Item) -> Key | None:
        names = {
            "automation": "credential_manager_acs_system_id",
            "credential pool": "acs_system_id",
            "ACS user": "acs_system_id",
            "credential": "acs_system_id",
        }
        name = names.get(record.name)
        return None if name is None else acs_system_key(self._workspace_id, str(item[name]))

    def _record(self, key: Key) -> _Record | None:
        text = self._text(key)
        return next((record for record in _RECORDS if record.key.fullmatch(text)), None)

    def _source(self, key: Key, item: Item) -> tuple[_Entry, Key] | None:
        """Return an entry's kind and the key of its record; ``None`` if the item is not of a known kind."""
        text = self._text(key)
        for entry in _ENTRIES:
            if match := entry.key.fullmatch(text):
                return entry, entry.source(self._workspace_id, key, item, match)
        return None

    def _entry_name(self, key: Key, entry: Item) -> str:
        source = self._source(key, entry)
        return "entry" if source is None else source[0].name

    def _id_of(self, source_key: Key, entry: _Entry, key: Key, item: Item) -> str:
        if entry.record in {"phone", "credential"}:
            return listed_id(source_key.sk)
        if entry.record != "automation":
            return listed_id(source_key.pk)
        if "user_identity_id" in item:  # this entry has the automation's id in its key
            return listed_id(key.pk)
        return f"of user identity {listed_id(source_key.pk)} with ACS system {listed_id(source_key.sk)}"

    def _text(self, key: Key) -> str:
        return f"{key.pk.removeprefix(self._prefix)}\n{key.sk}"


def _as_if_new(entry: Item) -> Item:
    """Return an entry without its key; a link that the import of a workspace has restored says so."""
    return {name: value for name, value in _unkeyed(entry).items() if name != RESTORED_AT}


def _unkeyed(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in {"pk", "sk"}}


def _as_read(item: Item) -> Item:
    """Return the condition that an item is as it was read.  Sets are left out, because no entry comes from them."""
    return {name: value for name, value in _unkeyed(item).items() if not isinstance(value, frozenset)}


def _identity_key(acs_user: Item) -> Key:
    return user_identity_key(str(acs_user["workspace_id"]), str(acs_user["user_identity_id"]))


def _link_key(acs_user: Item) -> Key:
    workspace_id, identity_id = str(acs_user["workspace_id"]), str(acs_user["user_identity_id"])
    return acs_user_link_key(workspace_id, identity_id, str(acs_user["acs_system_id"]))


def _is_link(key: Key) -> bool:
    return key.sk.startswith("ACS_USER#")
