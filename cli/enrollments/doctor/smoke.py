"""A launch in a workspace of its own, over HTTP as a client does it, and the removal of all of it.

The doctor may be killed at any moment.  So it notes a workspace before it makes it, and the next run removes what is
noted.  A removal reads a few partitions: the table may be large, and a scan of it takes long.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import click

from enrollment.callers import Caller, TokenKind
from enrollment.errors import UserIdentityNotFound
from enrollment.resources.user_identities import UserIdentityRequest
from enrollment.store.actions import change, put, put_new
from enrollment.store.items import stored_acs_system, stored_workspace
from enrollment.store.keys import (
    Key,
    acs_system_key,
    credential_manager_listing_key,
    deleted_workspace_key,
    doctors_workspace_key,
    event_key,
    event_listing_key,
    event_of_user_identity_listing_key,
    listed_id,
    phones_partition,
    token_key,
    token_listing_key,
    user_identity_listing_key,
    workspace_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import user_identities
from enrollment.use_cases.tokens import NewToken, create_token
from enrollment.use_cases.workspace_access import end_access, tokens_of
from enrollment.use_cases.workspace_deletion import Terms, WorkspaceNotFoundError, mark_deleted
from enrollment.use_cases.workspaces import adopt, rename
from enrollments.doctor.findings import Finding, bad, good

if TYPE_CHECKING:
    from enrollment.store.attributes import Item

_LAUNCH, _REMOVAL = "smoke launch", "its removal"
_NAME = "enrollments doctor"
# The stream tells late of what the removal has read before it was there.
_NOTHING_LEFT = (
    "nothing is left of its workspace, key, system and person; an event that is recorded after this ends by itself"
)
_LONGEST_REQUEST_SECONDS = 30
_LONGEST_ANSWER = 100_000  # bytes, of an address that may be anything
# After this time no doctor uses its workspace any more, so another one may remove it: four requests, and its writes.
_LONGEST_SMOKE = timedelta(seconds=150)
# The stream tells of the workspace for a day.  Until then the mark drops that.
_MARK_STAYS = timedelta(days=2)
_NO_WAIT = timedelta(0)
_TERMS = Terms(_NO_WAIT, _NO_WAIT, is_left_at_managers=True, longest_request=_NO_WAIT, longest_invocation=_NO_WAIT)

_LAUNCH_PATH = "/user_identities/enrollment_automations/launch"
_GET_PATH = "/user_identities/enrollment_automations/get"
_LIST_SYSTEMS_PATH = "/acs/systems/list"
_CREATE_PATH = "/user_identities/create"

_REMEDIES = {
    401: "does the address belong to this table? Then the log of AuthorizerLogGroup says why",
    403: "does the address belong to this API? A host name of one's own needs its mapping: deploy again",
    404: "does the address belong to this API, with its stage (…/prod)?",
    429: "requests are throttled: docs/operations.md, “Throttling”",
}
_LOGS = "the log with that request id says why: docs/operations.md, “Logs and traces”"
_REACH = "check the address, its DNS entry and certificate, and the network; --endpoint names another address"
# What the answer of an address raises that is not this API.  URLError is an OSError.
_NO_ANSWER = (OSError, ValueError, RecursionError, http.client.HTTPException)


class _Refused(Exception):
    """A request has another answer than it must have.

    Args:
        found: What was asked, and what came.
        remedy: What to do.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


class _Client(NamedTuple):
    """A client of the API."""

    endpoint: str
    token: str

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a request.

        Raises:
            _Refused: It is an error, or there is none.
        """
        request = urllib.request.Request(  # noqa: S310 - the caller checks that it is HTTP
            self.endpoint.rstrip("/") + path,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_LONGEST_REQUEST_SECONDS) as answer:  # noqa: S310 - as above
                return json.loads(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                about = error.headers.get("seam-request-id", "none")
                found = f"{path} answered {error.code} {_type_of(error)} (request id {about})"
            raise _Refused(found, _REMEDIES.get(error.code, _LOGS)) from error
        except _NO_ANSWER as error:
            raise _Refused(f"{self.endpoint}{path} does not answer as this service: {error}", _REACH) from error


def smoke(table: Table, endpoint: str) -> Iterator[Finding]:
    """Launch an automation in a new workspace, and yield what came of it, and of the removal of all of it.

    Args:
        table: The table.
        endpoint: The address of an API that serves the table.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = str(uuid4())
    note: Item = {"in_use_until": timestamp(datetime.now(UTC) + _LONGEST_SMOKE)}
    table.transact({"note": put(doctors_workspace_key(workspace_id), note)})
    try:
        yield _launch(table, workspace_id, endpoint)
    finally:
        remove(table, workspace_id, datetime.now(UTC))
    yield good(_REMOVAL, _NOTHING_LEFT)


def remove_earlier(table: Table) -> Iterator[Finding]:
    """Remove what doctors have left that were killed; yield how many there were.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    notes = table.query(doctors_workspace_key("").pk)
    for note in notes:
        left = datetime.fromisoformat(str(note["in_use_until"])) - datetime.now(UTC)
        seconds = max(0.0, left.total_seconds())  # another doctor may be at work
        if seconds:
            click.echo(f"An earlier doctor may be at work: waiting for {seconds:.0f} s", err=True)
        sleep(seconds)
        remove(table, str(note["sk"]), datetime.now(UTC))
    if notes:
        yield good("an earlier doctor", f"{len(notes)} workspaces that were left are removed")


def remove(table: Table, workspace_id: str, now: datetime) -> None:
    """Remove a doctor's workspace.  It can be repeated.

    Args:
        table: The table.
        workspace_id: The workspace.
        now: The time.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    note = doctors_workspace_key(workspace_id)
    try:
        mark_deleted(table, workspace_id, _TERMS, now)
    except WorkspaceNotFoundError:  # the doctor was killed before it made the workspace
        table.delete_all([note])
        return
    tokens = [one.token_id for one in tokens_of(table, workspace_id)]
    end_access(table, workspace_id, now)
    listed = table.query(user_identity_listing_key(workspace_id, "", "").pk)
    found = frozenset(listed_id(str(entry["sk"])) for entry in listed)
    if found:
        table.transact({"note": change(note, add={"user_identity_ids": found})})
    identity_ids = _noted_people(table, workspace_id)
    for identity_id in identity_ids:
        try:
            request = UserIdentityRequest(user_identity_id=identity_id)
            user_identities.delete(table, Caller(workspace_id), request)
        except UserIdentityNotFound:  # an interrupted removal has got so far
            continue
    keys = [*_of_people(table, workspace_id, identity_ids), *_of_workspace(table, workspace_id)]
    keys += [key for token_id in tokens for key in (token_key(token_id), token_listing_key(token_id))]
    table.delete_all(dict.fromkeys(keys))
    finished: Item = {"finished_at": timestamp(now), "deleted_after": int((now + _MARK_STAYS).timestamp())}
    table.transact({"mark": change(deleted_workspace_key(workspace_id), assign=finished)})
    table.delete_all([note])


def _launch(table: Table, workspace_id: str, endpoint: str) -> Finding:
    adopt(table, workspace_id, is_sandbox=True)
    rename(table, workspace_id, _NAME)
    ends = datetime.now(UTC) + 10 * _LONGEST_SMOKE
    token = create_token(
        table, NewToken(TokenKind.API_KEY, [workspace_id], name=_NAME, expires_at=ends, is_sandbox=True)
    )
    acs_system_id = _put_manager(table, workspace_id)
    client, begin = _Client(endpoint, token), monotonic()
    try:
        client.post(_LIST_SYSTEMS_PATH, {})
        person = client.post(_CREATE_PATH, {"full_name": _NAME})["user_identity"]
        ids = {"user_identity_ids": frozenset({str(person["user_identity_id"])})}
        table.transact({"note": change(doctors_workspace_key(workspace_id), add=ids)})
        wanted = {
            "user_identity_id": person["user_identity_id"],
            "credential_manager_acs_system_id": acs_system_id,
        }
        launched = client.post(_LAUNCH_PATH, wanted)["enrollment_automation"]
        named = {"enrollment_automation_id": launched["enrollment_automation_id"]}
        read = client.post(_GET_PATH, named)["enrollment_automation"]
    except _Refused as refused:
        return bad(_LAUNCH, refused.found, refused.remedy)
    except (LookupError, TypeError) as error:
        return bad(_LAUNCH, f"{endpoint} does not answer as this service: {error!r}", _REACH)
    if read != launched:
        return bad(_LAUNCH, "the automation that is read is not the one that was launched", _LOGS)
    return good(_LAUNCH, f"at {endpoint}, four requests in {monotonic() - begin:.1f} s")


def _put_manager(table: Table, workspace_id: str) -> str:
    """Put a credential manager into the workspace, and return its id."""
    system: Item = {
        "acs_system_id": str(uuid4()),
        "workspace_id": workspace_id,
        "created_at": timestamp(datetime.now(UTC)),
        "name": _NAME,
        "is_credential_manager": True,
        "connected_account_id": str(uuid4()),
    }
    items = stored_acs_system(system)
    table.transact({f"item_{index}": put_new(*item) for index, item in enumerate(items.items())})
    return str(system["acs_system_id"])


def _noted_people(table: Table, workspace_id: str) -> list[str]:
    ids = (table.get(doctors_workspace_key(workspace_id)) or {}).get("user_identity_ids")
    return sorted(ids) if isinstance(ids, frozenset) else []


def _of_people(table: Table, workspace_id: str, identity_ids: Iterable[str]) -> Iterator[Key]:
    """Yield the keys of what the end of a person leaves: enrollments, and entries of events."""
    for identity_id in identity_ids:
        events = event_of_user_identity_listing_key(workspace_id, identity_id, "", "", "").pk
        for partition in (phones_partition(workspace_id, identity_id), events):
            yield from (Key(partition, str(item["sk"])) for item in table.query(partition))


def _of_workspace(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of events, credential managers, and the workspace itself."""
    events = event_listing_key(workspace_id, "", "", "").pk
    for entry in table.query(events):
        yield Key(events, str(entry["sk"]))
        yield event_key(workspace_id, listed_id(str(entry["sk"])))
    listing = credential_manager_listing_key(workspace_id, "", "").pk
    for entry in table.query(listing):
        system = table.get(acs_system_key(workspace_id, listed_id(str(entry["sk"]))))
        if system is not None:
            yield from stored_acs_system(system)
    workspace = table.get(workspace_key(workspace_id))
    if workspace is not None:
        yield from stored_workspace(workspace)


def _type_of(answer: urllib.error.HTTPError) -> str:
    """Return the type of an error of the API, or that there is none."""
    try:
        return str(json.loads(answer.read(_LONGEST_ANSWER))["error"]["type"])
    except (LookupError, TypeError, *_NO_ANSWER):
        return "without an error of this service"
