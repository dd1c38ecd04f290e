"""What an execution does next for an enrollment: a decision about what was read, without any request.

Most steps ask the credential manager for something.  The others only change the table: they mark what has to be
revoked, or delete what the manager no longer has.  Whoever takes a step checks in its transaction what the step was
based on.

When a thing is asked for again is in the contract ("Credential managers").
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from enrollment.managers.protocol import Reason, State
from enrollment.store.attributes import Item, elements
from enrollment.timestamps import timestamp
from enrollment.use_cases.enrollments import View

# Failures that are over when the person's profile changes.
_OF_THE_PROFILE = frozenset({Reason.EMAIL_REQUIRED, Reason.PHONE_NUMBER_REQUIRED, Reason.PERSON_CONFLICT})
_TOLD_OF_A_PERSON = ("full_name", "email_address", "phone_number")


@dataclass(frozen=True, slots=True)
class Register:
    """Register a phone with the manager, for the first time or once more.

    Attributes:
        device_id: The phone.
        attempt: The number of the attempt.
        source_id: The credential that registering issues something for; ``None`` if registering issues nothing.
    """

    device_id: str
    attempt: int
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class AskForStatus:
    """Ask how a phone and its credentials stand."""

    device_id: str


@dataclass(frozen=True, slots=True)
class Deregister:
    """Take a phone that was deactivated from the manager, with its credentials."""

    device_id: str


@dataclass(frozen=True, slots=True)
class Issue:
    """Issue a credential to a phone, or change its validity.

    Attributes:
        device_id: The phone.
        acs_credential_id: The phone's credential; ``None`` if it is not made yet.
        source_id: The credential that it stands under, or the pool that it comes from.
    """

    device_id: str
    acs_credential_id: str | None
    source_id: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Revoke a phone's credential."""

    acs_credential_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark credentials of phones, because what they stand for is gone.

    Attributes:
        acs_credential_ids: The credentials of phones.
        parent_id: The credential that was deleted, if that is why.
        device_id: The phone that was deactivated, if that is why.
        is_without_automation: Whether the automation that named the pool was deleted, if that is why.
        invalid_parent_id: The credential that is not valid now, if that is why.
    """

    acs_credential_ids: tuple[str, ...]
    parent_id: str | None = None
    device_id: str | None = None
    is_without_automation: bool = False
    invalid_parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteCredential:
    """Delete a phone's credential that the manager no longer has."""

    acs_credential_id: str


@dataclass(frozen=True, slots=True)
class DeleteRegistration:
    """Delete the registration of a phone that the manager no longer has."""

    device_id: str


@dataclass(frozen=True, slots=True)
class UpdateParent:
    """Tell at a credential what its phones' credentials show.

    Attributes:
        acs_credential_id: The credential.
        issued_at: When the first of them was issued.
        synced_version: The version that all of them have, if that is its own version.
        synced_at: Since when the last of them has it.
    """

    acs_credential_id: str
    issued_at: str
    synced_version: int | None
    synced_at: str


@dataclass(frozen=True, slots=True)
class DeleteEnrollment:
    """Delete the enrollment of a person who was deleted, when nothing is at the manager any more."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until a moment.

    Attributes:
        until: The moment.
        is_for_pause: Whether nobody sends requests to the manager until then.
    """

    until: str
    is_for_pause: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is missing, and nothing has to be waited for."""


# Not `type` statements: a step is asked which of them it is.
RequestStep = Register | AskForStatus | Deregister | Issue | Revoke
TableStep = Mark | DeleteCredential | DeleteRegistration | UpdateParent | DeleteEnrollment
type Step = RequestStep | TableStep | Wait | Nothing

_SHORTEST_WAIT_FOR_CHECK, _LONGEST_WAIT_FOR_CHECK = timedelta(seconds=2), timedelta(minutes=5)
# How many credentials are marked at once: a mark takes two actions of a transaction.
_MOST_MARKED = 20


def next_step(view: View, now: str) -> Step:
    """Return what to do next for an enrollment.

    Args:
        view: The enrollment.
        now: The time, as ``timestamp`` writes it.
    """
    for table_step in _table_steps(view, now):
        return table_step
    if not view.is_served:
        return Nothing()
    steps = _request_steps(view, now)
    if view.abilities is None:
        # What it tells can make something of what is settled due, too.
        may_have_work = bool(view.registrations or view.children) or next(steps, None) is not None
        return Wait(_when_it_may_have_told(view.connector or {}, now)) if may_have_work else Nothing()
    moments = []
    for step in steps:
        if isinstance(step, Wait):
            moments.append(step.until)
        elif view.pause is not None and str(view.pause["paused_until"]) > now:
            return Wait(str(view.pause["paused_until"]), is_for_pause=True)
        else:
            return step
    return Wait(min(moments)) if moments else Nothing()


def _when_it_may_have_told(connector: Item, now: str) -> str:
    """Return when to look again whether a connector has told what it can do: after as long again as it has been set."""
    moment = datetime.fromisoformat(now)
    waited = moment - datetime.fromisoformat(str(connector["set_at"]))
    return timestamp(moment + max(_SHORTEST_WAIT_FOR_CHECK, min(waited, _LONGEST_WAIT_FOR_CHECK)))


def profile_digest(user_identity: Item | None) -> str:
    """Return a digest of what a manager is told of a person."""
    told = [str((user_identity or {}).get(name, "")) for name in _TOLD_OF_A_PERSON]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def pool_of(view: View) -> str | None:
    """Return the pool that each phone gets a credential from; none without an ACS user in the manager."""
    if view.automation is None or view.acs_user_id is None:
        return None
    pool_id = view.automation.get("requested_acs_credential_pool_id")
    return None if pool_id is None else str(pool_id)


def _table_steps(view: View, now: str) -> Iterator[TableStep]:
    unmarked = [child for child in view.children.values() if "being_deleted_at" not in child]
    yield from _marks(view, unmarked)
    yield from _marks_of_what_is_not_valid(view, unmarked, now)
    for device_id, registration in view.registrations.items():
        yield from _deletions(view, device_id, registration, now)
    for parent_id, parent in view.parents.items():
        asked = [child for child in unmarked if not _is_only_registered(child)]
        yield from _update_of_parent(parent, [c for c in asked if c.get("parent_acs_credential_id") == parent_id])
    if view.user_identity is None and not (view.registrations or view.children or view.phones or view.parents):
        yield DeleteEnrollment()


def _marks(view: View, unmarked: Sequence[Item]) -> Iterator[Mark]:
    """Yield what is to be marked, because the credential that it stands under or its phone is gone."""
    parent_ids = {str(one["parent_acs_credential_id"]) for one in unmarked if "parent_acs_credential_id" in one}
    for parent_id in sorted(parent_ids - view.parents.keys()):
        yield Mark(_some_ids(unmarked, "parent_acs_credential_id", parent_id), parent_id=parent_id)
    for device_id in sorted({str(child["device_id"]) for child in unmarked} - view.phones.keys()):
        yield Mark(_some_ids(unmarked, "device_id", device_id), device_id=device_id)
    # What a phone has from a pool it keeps.  What it never got is no longer wanted.
    failed = [one for one in unmarked if "acs_credential_pool_id" in one and one.get("state") == State.FAILED]
    never_issued = [str(one["acs_credential_id"]) for one in failed if "issued_at" not in one]
    if never_issued and view.automation is None:
        yield Mark(tuple(never_issued[:_MOST_MARKED]), is_without_automation=True)


def _marks_of_what_is_not_valid(view: View, unmarked: Sequence[Item], now: str) -> Iterator[Mark]:
    """Yield what is to be marked because the manager does not keep its validity, and it is not valid now."""
    if _keeps_validity(view):
        return
    for parent_id, parent in view.parents.items():
        ids = _some_ids(unmarked, "parent_acs_credential_id", parent_id)
        if ids and not _is_valid(parent, now):
            yield Mark(ids, invalid_parent_id=parent_id)


def _is_valid(credential: Item, now: str) -> bool:
    ends_at = credential.get("ends_at")
    return str(credential["starts_at"]) <= now and (ends_at is None or now < str(ends_at))


def _changes_of_validity(view: View, now: str) -> Iterator[Wait]:
    """Yield when a credential becomes valid or ends, which the manager does not keep."""
    if _keeps_validity(view):
        return
    for parent in view.parents.values():
        moments = [str(parent[name]) for name in ("starts_at", "ends_at") if name in parent]
        yield from (Wait(moment) for moment in moments if moment > now)


def _sources(view: View, now: str) -> list[str]:
    """Return what phones get credentials for now: the person's credentials, and the pool of the automation."""
    sources = [one for one, parent in view.parents.items() if _keeps_validity(view) or _is_valid(parent, now)]
    return sources if (pool_id := pool_of(view)) is None else [*sources, pool_id]


def _register(view: View, device_id: str, attempt: int, now: str) -> Iterator[Register]:
    """Yield the registration of a phone.  If it issues a credential, there has to be one of the person (contract)."""
    if not _issues_by_registering(view):
        yield Register(device_id, attempt)
        return
    registration = view.registrations.get(device_id, {})
    children = {source_of(child): child for child in view.children_of(registration)}
    withdrawn = elements(registration.get("withdrawn_sources"))
    sources = [one for one in _sources(view, now) if one in view.parents and one not in withdrawn]
    # For a credential under which the phone has one that is marked, it gets another one once that is gone.
    sources = [one for one in sources if "being_deleted_at" not in children.get(one, {})]
    if sources:
        # What the phone has a credential for already, it is registered for again.
        yield Register(device_id, attempt, min(sources, key=lambda one: one not in children))


def _keeps_validity(view: View) -> bool:
    """Return whether the manager sees to validities.  As long as it has not told, nothing is done because of them."""
    return view.abilities is None or view.abilities.keeps_validity


def _issues_by_registering(view: View) -> bool:
    return view.abilities is not None and view.abilities.one_step


def _deletions(view: View, device_id: str, registration: Item, now: str) -> Iterator[TableStep]:
    """Yield the deletions of what the manager no longer has."""
    is_registered_again = _issues_by_registering(view) and _is_registered_again(view, registration, now)
    is_gone = registration.get("state") == State.GONE and _is_deregistered(registration)
    for child in view.children_of(registration):
        credential_id, is_revoked = str(child["acs_credential_id"]), child.get("state") == State.GONE
        if is_gone or (is_revoked and "being_deleted_at" in child):
            yield DeleteCredential(credential_id)
        elif "being_deleted_at" not in child and (
            (is_revoked and _is_nudged(child)) or (is_registered_again and _is_had_by_parent(child))
        ):
            yield Mark((credential_id,))  # it is made anew, under another id
    if is_gone:
        yield DeleteRegistration(device_id)


def _some_ids(children: Sequence[Item], attribute: str, value: str) -> tuple[str, ...]:
    ids = [str(child["acs_credential_id"]) for child in children if child.get(attribute) == value]
    return tuple(ids[:_MOST_MARKED])


def _update_of_parent(parent: Item, children: Sequence[Item]) -> Iterator[UpdateParent]:
    issued = sorted(str(child["issued_at"]) for child in children if "issued_at" in child)
    if not issued:
        return
    version = int(str(parent["version"]))
    is_synced = all(child.get("synced_version") == version for child in children)
    synced_version = version if is_synced else None
    if "issued_at" not in parent or (is_synced and parent.get("synced_version") != version):
        synced_at = max(str(child.get("synced_at", "")) for child in children)
        yield UpdateParent(str(parent["acs_credential_id"]), issued[0], synced_version, synced_at)


def _request_steps(view: View, now: str) -> Iterator[RequestStep | Wait]:
    for device_id, registration in view.registrations.items():
        retry_at = str(registration.get("retry_at", ""))
        if retry_at > now and not _is_nudged(registration):
            if device_id in view.phones:
                yield from _revocations_that_are_new(view, registration, now)
            yield Wait(retry_at)
        elif device_id not in view.phones:
            yield _removal_of_phone(device_id, registration, now)
        else:
            yield from _steps_of_phone(view, device_id, registration, now)
    for device_id in view.phones:
        if device_id not in view.registrations and view.automation is not None and view.is_wanted:
            yield from _register(view, device_id, 1, now)
    if view.is_wanted and view.registrations.keys() | view.phones.keys():
        yield from _changes_of_validity(view, now)


def _removal_of_phone(device_id: str, registration: Item, now: str) -> RequestStep | Wait:
    if not _is_deregistered(registration):
        return Deregister(device_id)
    is_removing = registration.get("state") == State.REMOVING
    return _at(str(registration["next_at"]), AskForStatus(device_id) if is_removing else Deregister(device_id), now)


def _steps_of_phone(view: View, device_id: str, registration: Item, now: str) -> Iterator[RequestStep | Wait]:
    for child in view.children_of(registration):
        if "being_deleted_at" in child:
            yield from _revocation(child, now)
    if view.is_wanted:
        yield from _registration_again(view, device_id, registration, now)
        if registration.get("state") == State.ACTIVE:
            yield from _issues(view, device_id, registration, now)
    if _is_waiting(view, registration):
        is_due = _is_nudged(registration) or str(registration.get("next_at", "")) <= now
        yield AskForStatus(device_id) if is_due else Wait(str(registration["next_at"]))
    elif registration.get("state") == State.ACTIVE and _is_nudged(registration):
        yield AskForStatus(device_id)


def _revocations_that_are_new(view: View, registration: Item, now: str) -> Iterator[RequestStep | Wait]:
    """Yield the revocations that nobody knew of when the manager was asked and did not answer.  They do not wait."""
    for child in view.children_of(registration):
        if str(child.get("being_deleted_at", "")) > str(registration.get("asked_at", "")):
            yield from _revocation(child, now)


def _revocation(child: Item, now: str) -> Iterator[RequestStep | Wait]:
    """Yield what is to be done with a credential that is marked and not gone."""
    if child.get("state") != State.REMOVING:
        yield _at(str(child.get("next_at", "")), Revoke(str(child["acs_credential_id"])), now)


def _registration_again(view: View, device_id: str, registration: Item, now: str) -> Iterator[RequestStep | Wait]:
    attempt, state = int(str(registration["attempt"])), registration.get("state")
    if state is None:
        # An attempt whose credential was revoked makes nothing any more, however late it comes.
        is_over = _is_revoked(view, registration.get("registered_for"))
        yield from _register(view, device_id, attempt + 1 if is_over else attempt, now)
    elif state in {State.FAILED, State.GONE}:
        for register in _register(view, device_id, attempt + 1, now):
            if _is_registered_again(view, registration, now):
                yield register
            elif "next_at" in registration:
                yield Wait(str(registration["next_at"]))


def _is_registered_again(view: View, registration: Item, now: str) -> bool:
    """Return whether a phone that failed, or is gone at the manager, is registered again now."""
    if registration.get("state") not in {State.FAILED, State.GONE}:
        return False
    is_due = "next_at" in registration and str(registration["next_at"]) <= now
    return is_due or _is_asked_again(view, registration)


def _is_revoked(view: View, acs_credential_id: object) -> bool:
    """Return whether a credential that a phone was registered for is gone, or is to be revoked."""
    if acs_credential_id is None:
        return False
    return "being_deleted_at" in view.children.get(str(acs_credential_id), {"being_deleted_at": "gone"})


def _issues(view: View, device_id: str, registration: Item, now: str) -> Iterator[RequestStep | Wait]:
    children = view.children_of(registration)
    for child in children:
        if "being_deleted_at" not in child:
            yield from _issue_again(view, child, now)
    had = {source_of(child) for child in children} | set(elements(registration.get("withdrawn_sources")))
    for source_id in _sources(view, now):
        if source_id not in had:
            yield Issue(device_id, None, source_id)


def _issue_again(view: View, child: Item, now: str) -> Iterator[RequestStep | Wait]:
    """Yield what is to be done with a credential that is made and not marked."""
    issue = Issue(str(child["device_id"]), str(child["acs_credential_id"]), source_of(child))
    state = child.get("state")
    if state == State.GONE:  # the manager has invalidated it
        return
    wanted = view.parents.get(str(child.get("parent_acs_credential_id"))) or child
    if state is None or child.get("answered_version") != wanted["version"]:
        yield issue
    elif state == State.FAILED:
        if _is_asked_again(view, child):
            yield issue
        elif "next_at" in child:
            yield _at(str(child["next_at"]), issue, now)


def source_of(child: Item) -> str:
    """Return the id of the credential that a phone's credential stands under, or of the pool that it comes from."""
    return str(child.get("parent_acs_credential_id") or child["acs_credential_pool_id"])


def _is_waiting(view: View, registration: Item) -> bool:
    """Return whether the manager is at work for a phone or for one of its credentials, or whether the person is."""
    if registration.get("state") in {State.PENDING, State.INVITED, State.REMOVING}:
        return True
    return any(is_at_work_for(child) for child in view.children_of(registration))


def _is_had_by_parent(child: Item) -> bool:
    """Return whether a phone's credential that the manager was told of by its id stands under another one."""
    return "parent_acs_credential_id" in child and not _is_only_registered(child)


def _is_only_registered(child: Item) -> bool:
    """Return whether registering a phone has made its credential, and it was not asked for by its id yet."""
    return "asked_at" not in child and "state" not in child


def is_at_work_for(child: Item) -> bool:
    """Return whether the manager is at work for a phone's credential."""
    if "being_deleted_at" in child:
        return child.get("state") == State.REMOVING
    return is_behind(child) or child.get("state") in {State.PENDING, State.REMOVING}


def is_behind(child: Item) -> bool:
    """Return whether a credential is active at the manager with an older validity than was asked for."""
    return child.get("state") == State.ACTIVE and child.get("synced_version") != child.get("answered_version")


def _is_asked_again(view: View, failed: Item) -> bool:
    """Return whether something that failed is asked for again now."""
    if _is_nudged(failed):
        return True
    is_changed = failed.get("profile_digest") != profile_digest(view.user_identity)
    return failed.get("reason") in _OF_THE_PROFILE and is_changed


def _is_nudged(thing: Item) -> bool:
    """Return whether somebody wants a thing to be looked at, and nobody has done so since."""
    return str(thing.get("nudged_at", "")) > str(thing.get("asked_at", ""))


def _is_deregistered(registration: Item) -> bool:
    return "deregistered_at" in registration


def _at(moment: str, step: RequestStep, now: str) -> RequestStep | Wait:
    return step if moment <= now else Wait(moment)
