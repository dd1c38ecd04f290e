"""Connectors: what an operator does with them.

Only an operator sets a connector, never a client of the API (contract, "Credential managers").  Each change is a
transaction that checks what it was based on, because two operators may be at work, and the watch writes in the same
item (``connector_items``).

What an operator is refused is one of these::

    ConnectorRefusedError
    ├── SandboxHasNoConnectorsError   every credential manager of a sandbox is simulated
    ├── SystemNotFoundError           there is no such ACS system
    ├── NotCredentialManagerError     the ACS system is no credential manager
    ├── AddressRefusedError           a connector may not have that address
    ├── NoConnectorError              the credential manager has none
    └── ChangedMeanwhileError         others change the connector again and again
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from enrollment.outbound.addresses import ForbiddenAddress, require_allowed
from enrollment.store.actions import Action, as_read, change, delete, put_new, require, require_absent
from enrollment.store.attributes import Item
from enrollment.store.items import RETIRED, is_there
from enrollment.store.keys import (
    acs_system_key,
    connector_pools_key,
    credential_manager_listing_key,
    listed_id,
    manager_pause_key,
    workspace_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import (
    OF_ADDRESS,
    UNTIL_ASKED_ANEW,
    ConnectorId,
    former_secrets,
    next_revision,
)
from enrollment.use_cases.pauses import PauseReason

_ROUNDS = 4
_LONGEST_URL = 1000


class ConnectorRefusedError(Exception):
    """An operator's wish is refused.  The message says why, and what to do."""


class SandboxHasNoConnectorsError(ConnectorRefusedError):
    """The workspace is a sandbox."""

    def __init__(self) -> None:
        super().__init__(
            "the workspace is a sandbox, in which every credential manager is simulated; "
            "set the connector in a workspace that is no sandbox"
        )


class SystemNotFoundError(ConnectorRefusedError):
    """There is no such ACS system in the workspace."""

    def __init__(self) -> None:
        super().__init__(
            "there is no such ACS system in the workspace; `enrollments directory export` lists those that there are, "
            "and `enrollments directory import` adds one"
        )


class NotCredentialManagerError(ConnectorRefusedError):
    """The ACS system is no credential manager."""

    def __init__(self) -> None:
        super().__init__(
            "the ACS system is no credential manager, so it needs no connector; if it is one, import it with "
            "is_credential_manager true"
        )


class AddressRefusedError(ConnectorRefusedError):
    """A connector may not have that address.

    Args:
        why: Why, in words.  They do not repeat the address, which can hold a secret.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; a connector needs an https address on the public internet")


class NoConnectorError(ConnectorRefusedError):
    """The credential manager has no connector."""

    def __init__(self) -> None:
        super().__init__("this credential manager has no connector; `enrollments connectors set` gives it one")


class ChangedMeanwhileError(ConnectorRefusedError):
    """Others change the connector again and again."""

    def __init__(self) -> None:
        super().__init__("others change this connector at the same moment; try again")


class SetConnector(NamedTuple):
    """What setting a connector has done.

    Attributes:
        secret_version: The version of its signing secret.
        is_new: Whether there was none.
        has_other_address: Whether it had another address before.
        is_paused: Whether the operator has paused it, and it still is.
        busy_until: Until when nobody asks it, because it has too much to do; ``None`` if it is asked now.
    """

    secret_version: str
    is_new: bool
    has_other_address: bool
    is_paused: bool
    busy_until: str | None = None


class ResumedConnector(NamedTuple):
    """What resuming a connector has done.

    Attributes:
        was_paused: Whether the operator had paused it.
        busy_until: Until when nobody asks it, because it has too much to do; ``None`` if it is asked now.
    """

    was_paused: bool
    busy_until: str | None


class StoredConnector(NamedTuple):
    """A connector as an operator sees it.

    Attributes:
        id: Which one.
        connector: Its item.
        pause: The item that is there while nobody sends requests to the manager.
        pools: The item with the pools that the connector last told of.
    """

    id: ConnectorId
    connector: Item
    pause: Item | None
    pools: Item | None


def set_connector(
    table: Table, connector_id: ConnectorId, url: str, *, on_loopback: bool, now: datetime
) -> SetConnector:
    """Give a credential manager a connector, or its connector another address.

    Another address may be another connector, so what the watch knows of the one before is dropped.  The signing secret
    stays, and so does what was learned of each phone, its memo included.  Setting the same address once more has it
    asked at once.  A manager that has too much to do is left alone until its pause ends.

    Args:
        table: The table.
        connector_id: The connector.
        url: Its address.
        on_loopback: Whether addresses on this machine's loopback are allowed.
        now: The time.

    Raises:
        ConnectorRefusedError: The workspace, the system or the address can have none, or others change the connector
            again and again.
        ServiceUnavailable: The database stays out of reach.
    """
    _require_address(url, on_loopback=on_loopback)
    for _ in range(_ROUNDS):
        guards = _guards_of_manager(table, connector_id)
        before, pause = _read(table, connector_id)
        if before is None:
            done, actions = _new_connector(connector_id, url, now)
        else:
            done, actions = _other_address(connector_id, before, url, now)
        ended = _end_pause(connector_id, pause, of_any_kind=done.is_new or done.has_other_address)
        if not table.transact({**guards, **actions, **ended}):
            return done._replace(busy_until=None if ended else _paused_until(pause, now))
    raise ChangedMeanwhileError


def rotate_secret(table: Table, connector_id: ConnectorId, *, overlap: timedelta, now: datetime) -> str:
    """Give a connector another signing secret.  Return its version.

    Args:
        table: The table.
        connector_id: The connector.
        overlap: For how long requests are signed with the former secret, too.  Zero ends all former ones at once.
        now: The time.

    Raises:
        NoConnectorError: There is none.
        ChangedMeanwhileError: Others change the connector again and again.
        ServiceUnavailable: The database stays out of reach.
    """
    version = ""

    def rotate(connector: Item) -> Action:
        nonlocal version
        former = str(connector["secret_version"])
        version = timestamp(max(now, datetime.fromisoformat(former) + timedelta(milliseconds=1)))
        kept = {**former_secrets(connector), former: timestamp(now + overlap)} if overlap else {}
        written = frozenset(f"{one} {until}" for one, until in kept.items() if until > timestamp(now))
        return change(
            connector_id.key,
            assign={"secret_version": version, **({"former_secrets": written} if written else {})},
            remove=[] if written else ["former_secrets"],
            where=as_read(connector, ["secret_version", "former_secrets"]),
        )

    _change(table, connector_id, rotate)
    return version


def remove_connector(table: Table, connector_id: ConnectorId) -> None:
    """Take the connector from a credential manager.

    A pause goes with it: it was the connector's.

    Args:
        table: The table.
        connector_id: The connector.

    Raises:
        NoConnectorError: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    refused = table.transact(
        {
            "connector": delete(connector_id.key, {}),
            "pools": delete(connector_pools_key(*connector_id)),
            "pause": delete(manager_pause_key(*connector_id)),
        }
    )
    if refused:
        raise NoConnectorError


def pause_connector(table: Table, connector_id: ConnectorId, *, now: datetime) -> str:
    """Have nobody send requests to a connector until it is resumed.

    Args:
        table: The table.
        connector_id: The connector.
        now: The time.

    Returns:
        Since when it is paused, which may be earlier.

    Raises:
        NoConnectorError: There is none.
        ChangedMeanwhileError: Others change the connector again and again.
        ServiceUnavailable: The database stays out of reach.
    """
    paused_at = ""

    def pause(connector: Item) -> Action:
        nonlocal paused_at
        paused_at = str(connector.get("paused_at", timestamp(now)))
        return change(connector_id.key, assign={"paused_at": paused_at}, where=as_read(connector, ["paused_at"]))

    _change(table, connector_id, pause)
    return paused_at


def resume_connector(table: Table, connector_id: ConnectorId, *, now: datetime) -> ResumedConnector:
    """Have requests sent to a connector again.  To finish an interrupted call, make it again.

    A manager that has too much to do is left alone until its pause ends.

    Args:
        table: The table.
        connector_id: The connector.
        now: The time.

    Raises:
        NoConnectorError: There is none.
        ChangedMeanwhileError: Others change the connector again and again.
        ServiceUnavailable: The database stays out of reach.
    """
    was_paused = False

    def resume(connector: Item) -> Action:
        nonlocal was_paused
        was_paused = "paused_at" in connector
        return change(
            connector_id.key,
            assign=_asked_anew(connector, now),
            remove=["paused_at", *UNTIL_ASKED_ANEW],
            where=as_read(connector, ["revision", "paused_at", "checked_at"]),
        )

    busy_until = _paused_until(_change(table, connector_id, resume, ends_pause=True), now)
    return ResumedConnector(was_paused, busy_until)


def read_connector(table: Table, connector_id: ConnectorId) -> StoredConnector:
    """Return a connector.

    Args:
        table: The table.
        connector_id: Which one.

    Raises:
        NoConnectorError: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    found = read_connectors(table, [connector_id])
    if not found:
        raise NoConnectorError
    return found[0]


def connectors_of_workspace(table: Table, workspace_id: str) -> list[StoredConnector]:
    """Return the connectors of a workspace, by the age of their credential managers.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    entries = table.query(credential_manager_listing_key(workspace_id, "", "").pk)
    return read_connectors(table, [ConnectorId(workspace_id, listed_id(str(entry["sk"]))) for entry in entries])


def read_connectors(table: Table, connector_ids: list[ConnectorId]) -> list[StoredConnector]:
    """Return those of some connectors that exist.

    Args:
        table: The table.
        connector_ids: Which ones.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    keys = ((one.key, manager_pause_key(*one), connector_pools_key(*one)) for one in connector_ids)
    found = table.get_all(chain.from_iterable(keys))
    return [
        StoredConnector(one, connector, found.get(manager_pause_key(*one)), found.get(connector_pools_key(*one)))
        for one in connector_ids
        if (connector := found.get(one.key)) is not None
    ]


def _require_address(url: str, *, on_loopback: bool) -> None:
    if len(url) > _LONGEST_URL:
        raise AddressRefusedError(f"the address has more than {_LONGEST_URL:,} characters")
    try:
        require_allowed(url, on_loopback=on_loopback)
    except ForbiddenAddress as error:
        raise AddressRefusedError(f"the address is refused: {error}") from error


def _guards_of_manager(table: Table, connector_id: ConnectorId) -> dict[str, Action]:
    """Return the actions that check that a credential manager can have a connector."""
    workspace_id, manager_id = connector_id
    found = table.batch_get([workspace_key(workspace_id), acs_system_key(workspace_id, manager_id)])
    workspace, system = found.get(workspace_key(workspace_id)), found.get(acs_system_key(workspace_id, manager_id))
    if workspace is not None and workspace["is_sandbox"] is True:
        raise SandboxHasNoConnectorsError
    if not is_there(system):
        raise SystemNotFoundError
    if system["is_credential_manager"] is not True:
        raise NotCredentialManagerError
    key = workspace_key(workspace_id)
    return {
        # One that an older release used has no item, and is no sandbox.
        "workspace": require_absent(key) if workspace is None else require(key, as_read(workspace, ["is_sandbox"])),
        "system": require(
            acs_system_key(workspace_id, manager_id), as_read(system, ["is_credential_manager", RETIRED])
        ),
    }


def _read(table: Table, connector_id: ConnectorId) -> tuple[Item | None, Item | None]:
    """Return the connector and the pause of its manager."""
    pause_key = manager_pause_key(*connector_id)
    found = table.batch_get([connector_id.key, pause_key])
    return found.get(connector_id.key), found.get(pause_key)


def _new_connector(connector_id: ConnectorId, url: str, now: datetime) -> tuple[SetConnector, dict[str, Action]]:
    version = timestamp(now)
    connector: Item = {
        "workspace_id": connector_id.workspace_id,
        "acs_system_id": connector_id.manager_id,
        "url": url,
        "set_at": timestamp(now),
        "revision": next_revision(None, now),
        "secret_version": version,
    }
    done = SetConnector(version, is_new=True, has_other_address=False, is_paused=False)
    return done, {"connector": put_new(connector_id.key, connector)}


def _other_address(
    connector_id: ConnectorId, before: Item, url: str, now: datetime
) -> tuple[SetConnector, dict[str, Action]]:
    is_other = before["url"] != url
    changed = change(
        connector_id.key,
        assign={"url": url, **_asked_anew(before, now), **({"set_at": timestamp(now)} if is_other else {})},
        remove=OF_ADDRESS if is_other else UNTIL_ASKED_ANEW,
        where=as_read(before, ["url", "revision", "secret_version", "paused_at", "checked_at"]),
    )
    done = SetConnector(
        str(before["secret_version"]), is_new=False, has_other_address=is_other, is_paused="paused_at" in before
    )
    pools = {"pools": delete(connector_pools_key(*connector_id))} if is_other else {}
    return done, {"connector": changed, **pools}


def _asked_anew(connector: Item, now: datetime) -> Item:
    """Return what changes so that a connector is asked at once.

    Phones look for its first answer again after as long again as it has been set, so that begins anew, too.
    """
    is_unknown = "checked_at" not in connector
    return {"revision": next_revision(connector, now), **({"set_at": timestamp(now)} if is_unknown else {})}


def _change(
    table: Table, connector_id: ConnectorId, choose: Callable[[Item], Action], *, ends_pause: bool = False
) -> Item | None:
    """Change a connector that exists.  Return the pause of its manager that stays, if there is one.

    Args:
        table: The table.
        connector_id: The connector.
        choose: Returns the change of the item, with the condition that the item is still so.
        ends_pause: Whether a manager that let nobody in is asked again at once.

    Raises:
        NoConnectorError: There is none.
        ChangedMeanwhileError: Others change the connector again and again.
        ServiceUnavailable: The database stays out of reach.
    """
    for _ in range(_ROUNDS):
        connector, pause = _read(table, connector_id)
        if connector is None:
            raise NoConnectorError
        ended = _end_pause(connector_id, pause, of_any_kind=False) if ends_pause else {}
        if not table.transact({"connector": choose(connector), **ended}):
            return None if ended else pause
    raise ChangedMeanwhileError


def _end_pause(connector_id: ConnectorId, pause: Item | None, *, of_any_kind: bool) -> dict[str, Action]:
    """Return the action that ends a pause of the manager.

    An operator who sets or resumes a connector that let nobody in has corrected that.  Whoever has too much to do is
    left alone, unless that was the connector at another address.
    """
    if pause is None or not (of_any_kind or pause["reason"] == PauseReason.DISCONNECTED):
        return {}
    return {"pause": delete(manager_pause_key(*connector_id), as_read(pause, ["paused_until"]))}


def _paused_until(pause: Item | None, now: datetime) -> str | None:
    """Return until when a manager is paused; ``None`` if it is not, or not any more."""
    if pause is None or str(pause["paused_until"]) <= timestamp(now):
        return None
    return str(pause["paused_until"])
