"""What phones and their credentials wait for: what an operator is told.

What is told must be true, so it comes from the decision by which executions go on (``convergence.next_step``).  A
phone, or a credential of one, is looked at as if the enrollment had nothing else.  Then the step that is next, or the
wait, is its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from enrollment.managers.protocol import State
from enrollment.store.attributes import Item, elements
from enrollment.use_cases.convergence import (
    AskForStatus,
    DeleteCredential,
    DeleteEnrollment,
    DeleteRegistration,
    Deregister,
    Issue,
    Mark,
    Nothing,
    Register,
    RequestStep,
    Revoke,
    Step,
    TableStep,
    UpdateParent,
    Wait,
    is_behind,
    next_step,
    pool_of,
    source_of,
)
from enrollment.use_cases.enrollments import EnrollmentId, View
from enrollment.use_cases.learning import OF_SILENCE
from enrollment.use_cases.pauses import PauseReason


class Why(StrEnum):
    """Why a phone or a credential waits."""

    NO_AUTOMATION = "no_automation"
    NO_PHONE = "no_phone"
    PHONE_NOT_ACTIVE = "phone_not_active"
    NO_CREDENTIAL = "no_credential"
    STARTS_LATER = "starts_later"
    NO_CONNECTOR = "no_connector"
    CONNECTOR_PAUSED = "connector_paused"
    NOT_YET_CHECKED = "not_yet_checked"
    MANAGER_BUSY = "manager_busy"
    NO_ACCESS = "no_access"
    NO_USABLE_ANSWER = "no_usable_answer"
    MANAGER_AT_WORK = "manager_at_work"
    INVITED = "invited"
    REMOVING = "removing"
    FAILED = "failed"
    GONE = "gone"
    DUE = "due"


# The word for each step, which scripts read.
WORD_OF_STEP: Mapping[type[Step], str] = {
    Register: "register",
    AskForStatus: "ask_for_status",
    Deregister: "deregister",
    Issue: "issue",
    Revoke: "revoke",
    Mark: "revoke",
    DeleteCredential: "delete",
    DeleteRegistration: "delete",
    UpdateParent: "show_as_issued",
    DeleteEnrollment: "delete",
}
_NOT_ASKED = "not_asked"
_ASKED = "asked"
_OF_CREDENTIAL = ("device_id", "acs_credential_id", "parent_acs_credential_id", "acs_credential_pool_id")
# What a credential or a registration has that is being taken from the manager.
_REMOVED = {"being_deleted_at", "deregistered_at"}
_BY_STATE = {
    State.PENDING: Why.MANAGER_AT_WORK,
    State.INVITED: Why.INVITED,
    State.REMOVING: Why.REMOVING,
    State.FAILED: Why.FAILED,
    State.GONE: Why.GONE,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A phone at a credential manager, or a credential for a phone, and what it waits for.

    It has ids only, and no words of the manager: those can be personal.

    Attributes:
        user_identity_id: The person.
        acs_system_id: The credential manager; ``None`` if nothing says which.
        device_id: The phone; ``None`` for a credential of a person without one.
        acs_credential_id: The phone's credential; ``None`` for a phone, and for a credential that is not made yet.
        parent_acs_credential_id: The credential of the person that it stands under.
        acs_credential_pool_id: The pool that it comes from.
        state: How it stands at the manager: the manager's word, ``not_asked``, or ``asked`` without an answer.
        why: Why it waits; ``None`` if it does not.
        because: More about that, in a word: what failed, what is unanswered, what is due.
        since: Since when.
        next_at: When it is looked at next, if that is known.
        is_due: Whether that is now.
    """

    user_identity_id: str
    acs_system_id: str | None
    device_id: str | None
    acs_credential_id: str | None
    parent_acs_credential_id: str | None
    acs_credential_pool_id: str | None
    state: str
    why: Why | None
    because: str | None
    since: str
    next_at: str | None
    is_due: bool


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why a thing waits, and until when: the same attributes as those of ``Waiting``."""

    why: Why | None
    since: str
    because: str | None = None
    next_at: str | None = None
    is_due: bool = False


def phones_without_automation(user_identity_id: str, phones: list[Item]) -> Iterator[Waiting]:
    """Yield the phones of a person who has no enrollment.

    Args:
        user_identity_id: The person.
        phones: The items of the phones.
    """
    for phone in phones:
        reason = _Reason(Why.NO_AUTOMATION, str(phone["created_at"]))
        yield _row(user_identity_id, None, {"device_id": str(phone["device_id"])}, _NOT_ASKED, reason)


def waiting_phones(view: View, now: str) -> Iterator[Waiting]:
    """Yield the phones of an enrollment, those that are to be taken from the manager included.

    Args:
        view: The enrollment.
        now: The time, as ``timestamp`` writes it.
    """
    for device_id in sorted(view.phones.keys() | view.registrations.keys()):
        registration = view.registrations.get(device_id)
        reason = _reason_of_phone(view, device_id, registration, now)
        yield _row(*_person_and_manager(view.id), {"device_id": device_id}, _state_of(registration), reason)


def waiting_credentials(view: View, now: str) -> Iterator[Waiting]:
    """Yield the credentials of an enrollment's phones, those that are to be made included.

    Args:
        view: The enrollment.
        now: The time, as ``timestamp`` writes it.
    """
    for device_id in sorted(view.phones.keys() | view.registrations.keys()):
        registration = view.registrations.get(device_id)
        children = [] if registration is None else view.children_of(registration)
        for child in children:
            of_phone = {name: str(child[name]) for name in _OF_CREDENTIAL if name in child}
            reason = _reason_of_credential(view, view.registrations[device_id], child, now)
            yield _row(*_person_and_manager(view.id), of_phone, _state_of(child), reason)
        had = {source_of(child) for child in children} | set(elements((registration or {}).get("withdrawn_sources")))
        if device_id in view.phones and view.is_wanted:
            yield from _not_made(view, device_id, had, now)
    if not view.phones:
        for parent_id, parent in view.parents.items():
            why = None if "issued_at" in parent else Why.NO_PHONE
            named = {"parent_acs_credential_id": parent_id}
            yield _row(*_person_and_manager(view.id), named, _NOT_ASKED, _Reason(why, str(parent["created_at"])))


def _not_made(view: View, device_id: str, had: set[str], now: str) -> Iterator[Waiting]:
    """Yield the credentials that a phone is to have and that are not made yet."""
    pool_id = pool_of(view)
    for source_id in [*view.parents, *([] if pool_id is None else [pool_id])]:
        if source_id not in had:
            kind = "parent_acs_credential_id" if source_id in view.parents else "acs_credential_pool_id"
            reason = _reason_of_source(view, device_id, source_id, now)
            yield _row(*_person_and_manager(view.id), {"device_id": device_id, kind: source_id}, _NOT_ASKED, reason)


def _reason_of_phone(view: View, device_id: str, registration: Item | None, now: str) -> _Reason:
    """Return why a phone waits, whether it is registered or not."""
    alone = replace(_with_one_phone(view, device_id, registration), automation=_with_pool(view.automation, None))
    if registration is None:
        since = _later_creation(view.phones[device_id], view.automation)
        if view.automation is None:
            # Without an automation it is not registered.  That matters if the person is to have a credential.
            return _Reason(Why.NO_AUTOMATION if view.parents else None, since)
        return _reason(alone, None, since, now)
    # With `one_step`, a phone is registered for a credential.
    is_for_credential = registration.get("state") in {None, State.FAILED, State.GONE}
    looked_at = alone if is_for_credential else replace(alone, parents={})
    return _reason(looked_at, registration, str(registration["created_at"]), now)


def _reason_of_credential(view: View, registration: Item, child: Item, now: str) -> _Reason:
    """Return why a phone's credential waits that is made."""
    device_id, parent_id = str(child["device_id"]), str(child.get("parent_acs_credential_id"))
    # As if the phone itself needed nothing.
    of_child = {**registration, "nudged_at": "", **({"state": State.ACTIVE} if device_id in view.phones else {})}
    alone = _with_one_phone(view, device_id, of_child, frozenset({str(child["acs_credential_id"])}))
    alone = replace(
        alone,
        parents={one: parent for one, parent in alone.parents.items() if one == parent_id},
        automation=_with_pool(view.automation, child.get("acs_credential_pool_id")),
    )
    since = str(child.get("being_deleted_at", child["created_at"]))
    is_issued_next = isinstance(next_step(_as_if_undisturbed(alone), now), Issue)
    if is_issued_next and registration.get("state") != State.ACTIVE:
        return _Reason(Why.PHONE_NOT_ACTIVE, since)
    return _reason(alone, child, since, now)


def _reason_of_source(view: View, device_id: str, source_id: str, now: str) -> _Reason:
    """Return why a phone's credential waits that is not made yet."""
    parent, registration = view.parents.get(source_id), view.registrations.get(device_id)
    since = _later_creation(view.phones[device_id], view.automation if parent is None else parent)
    if registration is None and view.automation is None:
        return _Reason(Why.NO_AUTOMATION, since)
    if registration is None or registration.get("state") != State.ACTIVE:
        return _Reason(Why.PHONE_NOT_ACTIVE, since)
    alone = replace(
        _with_one_phone(view, device_id, {**registration, "nudged_at": ""}),
        parents={} if parent is None else {source_id: parent},
        automation=_with_pool(view.automation, source_id if parent is None else None),
    )
    return _reason(alone, None, since, now)


def _reason(alone: View, thing: Item | None, since: str, now: str) -> _Reason:
    """Return why a thing waits.

    Args:
        alone: The enrollment, as if it had nothing else.
        thing: The registration or the credential; ``None`` if it is not made yet.
        since: Since when it is there or wanted.
        now: The time.
    """
    since = str((thing or {}).get("state_since", since)) if "state" in (thing or {}) else since
    step, undisturbed = _next_after_pause(alone, now), _as_if_undisturbed(alone)
    if isinstance(step, TableStep):
        return _reason_of_due(step, since)
    if _is_settled(thing, next_step(undisturbed, now)):
        return _reason_of_settled(undisturbed, thing, step, since)
    if (reason := _reason_of_nobody_asking(alone, step, since)) is not None:
        return reason
    registration = next(iter(alone.registrations.values()), {})
    if "retry_at" in registration and "unanswered_since" in registration:
        because = _word_of(registration, "unanswered_because")
        return _Reason(Why.NO_USABLE_ANSWER, str(registration["unanswered_since"]), because, *_timing(step))
    if thing is None or "state" not in thing:
        return _reason_of_unanswered(step, since)
    return _reason_of_answered(thing, step, since)


def _next_after_pause(alone: View, now: str) -> Step:
    """Return what is next; a manager that is paused is asked when its pause is over."""
    step, paused_until = next_step(alone, now), str((alone.pause or {}).get("paused_until", ""))
    # As long as it has not told what it can do, only the table is looked at, whatever is paused.
    if isinstance(step, Wait) and alone.abilities is not None and step.until < paused_until:
        return replace(step, until=paused_until)
    return step


def _reason_of_unanswered(step: Step, since: str) -> _Reason:
    """Return why a thing waits that the manager has not answered about, or was not asked about."""
    if isinstance(step, Wait):
        return _Reason(Why.STARTS_LATER, since, None, *_timing(step))
    return _reason_of_due(step, since)


def _reason_of_answered(thing: Item, step: Step, since: str) -> _Reason:
    """Return why a thing waits that the manager has answered about."""
    state = State(str(thing["state"]))
    if isinstance(step, RequestStep) and state in {State.ACTIVE, State.FAILED, State.GONE}:
        return _reason_of_due(step, since)
    if isinstance(step, Wait) and _REMOVED & thing.keys():
        return _Reason(Why.REMOVING, since, None, *_timing(step))
    if state is State.ACTIVE:
        is_waiting = isinstance(step, Wait) and is_behind(thing)
        return _Reason(Why.MANAGER_AT_WORK if is_waiting else None, since, None, *_timing(step))
    return _Reason(_BY_STATE[state], since, _word_of(thing, "reason"), *_timing(step))


def _reason_of_nobody_asking(alone: View, step: Step, since: str) -> _Reason | None:
    """Return why nobody asks the manager now; ``None`` if somebody does."""
    connector = alone.connector or {}
    if not alone.is_served:
        if "paused_at" in connector:
            return _Reason(Why.CONNECTOR_PAUSED, str(connector["paused_at"]))
        return _Reason(Why.NO_CONNECTOR, since)
    if alone.abilities is None:
        since = str(connector.get("unanswered_since", connector["set_at"]))
        return _Reason(Why.NOT_YET_CHECKED, since, _word_of(connector, "unanswered_because"), *_timing(step))
    if isinstance(step, Wait) and step.is_for_pause and alone.pause is not None:
        why = Why.NO_ACCESS if alone.pause["reason"] == PauseReason.DISCONNECTED else Why.MANAGER_BUSY
        return _Reason(why, str(alone.pause["paused_at"]), next_at=step.until)
    return None


def _is_settled(thing: Item | None, step: Step) -> bool:
    """Return whether nothing is missing.  What is active and as it should be only waits for the end of its validity."""
    if thing is None or thing.get("state") != State.ACTIVE or is_behind(thing) or _REMOVED & thing.keys():
        return isinstance(step, Nothing)
    return isinstance(step, Wait | Nothing)


def _reason_of_settled(undisturbed: View, thing: Item | None, step: Step, since: str) -> _Reason:
    """Return how a thing stands for which nothing is done by itself."""
    match (thing or {}).get("state"):
        case State.FAILED:
            return _Reason(Why.FAILED, since, _word_of(thing or {}, "reason"))
        case State.GONE:
            return _Reason(Why.GONE, since)
        case State.ACTIVE:
            return _Reason(None, since, None, *_timing(step))
    is_phone = not undisturbed.registrations if thing is None else "acs_credential_id" not in thing
    is_for_credential = undisturbed.abilities is not None and undisturbed.abilities.one_step and undisturbed.is_wanted
    return _Reason(Why.NO_CREDENTIAL if is_phone and is_for_credential else None, since)


def _timing(step: Step) -> tuple[str | None, bool]:
    """Return when a step is taken, if that is known, and whether that is now."""
    return (step.until, False) if isinstance(step, Wait) else (None, not isinstance(step, Nothing))


def _reason_of_due(step: Step, since: str) -> _Reason:
    """Return that a step is due."""
    return _Reason(Why.DUE, since, WORD_OF_STEP[type(step)], is_due=True)


def _with_one_phone(
    view: View, device_id: str, registration: Item | None, credential_ids: frozenset[str] = frozenset()
) -> View:
    """Return an enrollment as if it had one phone, with these credentials only."""
    with_these = {} if registration is None else {device_id: {**registration, "acs_credential_ids": credential_ids}}
    # What a credential of the person is to show is another matter.
    parents = {
        one: {**parent, "issued_at": "", "synced_version": parent["version"]} for one, parent in view.parents.items()
    }
    return replace(
        view,
        phones={device_id: view.phones[device_id]} if device_id in view.phones else {},
        registrations=with_these,
        parents=parents,
        children={one: view.children[one] for one in credential_ids},
    )


def _as_if_undisturbed(alone: View) -> View:
    """Return an enrollment as if its manager could be asked for everything now, and always answered.

    What the manager can do stays as it is.  As long as that is unknown, it is taken for that of a simulated one.
    """
    registrations = {
        one: {name: value for name, value in registration.items() if name not in OF_SILENCE}
        for one, registration in alone.registrations.items()
    }
    connector = {name: value for name, value in (alone.connector or {}).items() if name != "paused_at"}
    return replace(
        alone,
        is_sandbox=alone.abilities is None or alone.is_sandbox,
        connector=connector or None,
        pause=None,
        registrations=registrations,
    )


def _with_pool(automation: Item | None, pool_id: object) -> Item | None:
    """Return an automation as if it named this pool only if it does."""
    name = "requested_acs_credential_pool_id"
    if automation is None or automation.get(name) == pool_id:
        return automation
    return {each: value for each, value in automation.items() if each != name}


def _later_creation(first: Item, second: Item | None) -> str:
    """Return when the younger of two items was created; the second may be missing."""
    return max(str(first["created_at"]), str((second or first)["created_at"]))


def _state_of(thing: Item | None) -> str:
    """Return the word for how a thing stands at the manager."""
    return _NOT_ASKED if thing is None else str(thing.get("state", _ASKED))


def _word_of(thing: Item, name: str) -> str | None:
    """Return an attribute that a thing may have."""
    return str(thing[name]) if name in thing else None


def _person_and_manager(enrollment_id: EnrollmentId) -> tuple[str, str]:
    """Return the ids with which each row begins."""
    return enrollment_id.user_identity_id, enrollment_id.manager_id


def _row(
    user_identity_id: str, acs_system_id: str | None, named: dict[str, str], state: str, reason: _Reason
) -> Waiting:
    """Return what is told of a thing.

    Args:
        user_identity_id: The person.
        acs_system_id: The credential manager.
        named: The other ids that it has, by their names.
        state: How it stands at the manager.
        reason: Why it waits.
    """
    return Waiting(
        user_identity_id=user_identity_id,
        acs_system_id=acs_system_id,
        device_id=named.get("device_id"),
        acs_credential_id=named.get("acs_credential_id"),
        parent_acs_credential_id=named.get("parent_acs_credential_id"),
        acs_credential_pool_id=named.get("acs_credential_pool_id"),
        state=state,
        why=reason.why,
        because=reason.because,
        since=reason.since,
        next_at=reason.next_at,
        is_due=reason.is_due,
    )
