"""What is learned from a credential manager's answer, or from its silence: the changes of what is stored.

When a thing is asked for again is in the contract ("Credential managers").
"""

import json
import random
from datetime import datetime, timedelta
from typing import Any

from enrollment.managers.protocol import CredentialAnswer, PhoneAnswer, Reason, RequestType, State
from enrollment.store.actions import Action, change
from enrollment.store.attributes import Item
from enrollment.store.keys import acs_credential_key, registration_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import is_behind, profile_digest
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.manager_requests import OF_FAILURE, Asking, asked_at

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)
_JITTER = 0.2
_POOL_IS_ASKED_AGAIN_AFTER = timedelta(hours=1)
_INVITATION_IS_ASKED_FOR_AFTER = timedelta(days=1)
_SHORTEST_CHECK, _LONGEST_CHECK = timedelta(seconds=1), timedelta(days=7)
# What a registration has as long as there is no usable answer.
OF_SILENCE = ("retry_at", "unanswered_since", "unanswered_because")
_IS_AT_WORK = (State.PENDING, State.REMOVING)

# Randomness of the operating system: processes that start from one snapshot share the state of Python's generator.
_random = random.SystemRandom()

type Learned = tuple[dict[str, Action], dict[str, Any]]


def learn_of_phone(view: View, asking: Asking, answer: PhoneAnswer, began: str, now: datetime) -> Learned:
    """Return the actions that write an answer about a phone, and what is logged of it.

    Args:
        view: The enrollment.
        asking: What was asked.
        answer: The answer.
        began: When it was asked.
        now: The time.
    """
    before = asking.registration
    is_changed = answer.state != before.get("state")
    assign: dict[str, Any] = {"state": answer.state, "asked_at": asked_at(before, began)}
    remove = set(OF_SILENCE)
    if is_changed:
        assign["state_since"] = timestamp(now)
    if answer.endpoint_id is not None:
        assign["endpoint_id"] = answer.endpoint_id
    _note_app(answer, assign, remove)
    _note_failure(view, answer, assign, remove)
    if asking.request.type is RequestType.PHONE_DEREGISTER:
        assign["deregistered_at"] = before.get("deregistered_at", timestamp(now))

    actions: dict[str, Action] = {}
    children = {str(child["acs_credential_id"]): child for child in view.children_of(before)}
    if asking.request.type is not RequestType.PHONE_STATUS:
        told = []
    else:
        named = {each["acs_credential_id"] for each in asking.request.data["credentials"]}
        told = [each for each in answer.credentials if each.acs_credential_id in named]
    checks = [answer.check_after_s] if answer.state in _IS_AT_WORK else []
    for each in told:
        child = children[each.acs_credential_id]
        changes = _changes_of_credential(view, child, each, now)
        is_changed = is_changed or each.state != child.get("state")
        actions[each.acs_credential_id] = _change_credential(view, child, changes)
        children[each.acs_credential_id] = {**child, **changes[0]}
        if each.state in _IS_AT_WORK or is_behind(children[each.acs_credential_id]):
            checks.append(each.check_after_s)
    _note_failed(children.values(), assign, remove)
    waits = 0 if is_changed else int(str(before.get("waits", 0))) + 1
    assign["waits"] = waits
    next_at = _next_check(answer, checks, waits, now)
    if next_at is None and _needs_another_look(answer, children):
        next_at = now + _growing(waits)  # the answer did not name a credential that the manager is at work for
    if "deregistered_at" in {**before, **assign} and answer.state not in {*_IS_AT_WORK, State.GONE}:
        next_at = now + _growing(waits)  # the manager does not begin to remove it
    _note_next(next_at, assign, remove)
    _note_memo([answer, *told], assign)
    actions["registration"] = _change_registration(view, before, assign, remove)
    return actions, _facts(answer, before, began, now)


def learn_of_credential(view: View, asking: Asking, answer: CredentialAnswer, began: str, now: datetime) -> Learned:
    """Return the actions that write an answer about a credential, and what is logged of it.

    Args:
        view: The enrollment.
        asking: What was asked.
        answer: The answer.
        began: When it was asked.
        now: The time.
    """
    before, child = asking.registration, asking.credential or {}
    assign, remove = _changes_of_credential(view, child, answer, now)
    if asking.request.type is RequestType.CREDENTIAL_ISSUE:
        assign["answered_version"] = child["version"]
    elif answer.state not in {State.GONE, State.REMOVING}:
        assign["next_at"] = timestamp(now + _as_long_again(str(child["being_deleted_at"]), now))
        remove.discard("next_at")
    assign["asked_at"] = asked_at(child, began)
    known = {**child, **assign}
    if answer.state is State.ACTIVE and asking.request.type is RequestType.CREDENTIAL_ISSUE:
        assign |= _synced(child, answer, int(str(child["version"])), now)
        known = {**child, **assign}

    of_phone: dict[str, Any] = {"waits": 0}
    dropped = set(OF_SILENCE)
    siblings = {str(one["acs_credential_id"]): one for one in view.children_of(before)}
    _note_failed((siblings | {str(child["acs_credential_id"]): known}).values(), of_phone, dropped)
    if answer.state in _IS_AT_WORK or is_behind(known):
        check = now + _check(answer.check_after_s, 0)
        others = str(before.get("next_at", ""))
        of_phone["next_at"] = min(timestamp(check), others) if others > timestamp(now) else timestamp(check)
    _note_memo([answer], of_phone)
    actions = {
        "credential": _change_credential(view, child, (assign, remove)),
        "registration": _change_registration(view, before, of_phone, dropped),
    }
    return actions, _facts(answer, child, began, now)


def learn_of_silence(view: View, asking: Asking, because: str, began: str, now: datetime) -> Learned:
    """Return the actions that write that there was no usable answer, and what is logged of it.

    Args:
        view: The enrollment.
        asking: What was asked.
        because: Why there was none, in a word.
        began: When it was asked.
        now: The time.
    """
    registration = asking.registration
    waits = int(str(registration.get("waits", 0)))
    since = str(registration.get("unanswered_since", began))
    if "unanswered_since" not in registration:
        waits = 0
    assign = {
        "unanswered_since": since,
        "unanswered_because": because,
        "retry_at": timestamp(now + _growing(waits)),
        "waits": waits + 1,
        # A revocation that was asked for is not new any more, also if another clock has marked the credential.
        "asked_at": max(asked_at(registration, began), str((asking.credential or {}).get("being_deleted_at", ""))),
    }
    waited = (now - datetime.fromisoformat(since)).total_seconds()
    actions = {"registration": _change_registration(view, registration, assign, set())}
    return actions, {"failure": "no_answer", "because": because, "waited_s": round(waited)}


def _changes_of_credential(
    view: View, child: Item, answer: CredentialAnswer, now: datetime
) -> tuple[dict[str, Any], set[str]]:
    """Return the attributes of a credential to set and to remove, because of an answer."""
    assign: dict[str, Any] = {"state": answer.state}
    remove: set[str] = set()
    if answer.state != child.get("state"):
        assign["state_since"] = timestamp(now)
    for name in ("manager_credential_id", "card_number"):
        if (value := getattr(answer, name)) is not None:
            assign[name] = value
    for name in ("starts_at", "ends_at"):
        if (moment := getattr(answer, name)) is not None:
            assign[f"manager_{name}"] = timestamp(moment)
        else:
            remove.add(f"manager_{name}")
    _note_failure(view, answer, assign, remove)
    if answer.state is State.FAILED and answer.reason == Reason.POOL_EXHAUSTED:
        assign["next_at"] = timestamp(now + _POOL_IS_ASKED_AGAIN_AFTER)
    else:
        remove.add("next_at")
    if answer.state is State.ACTIVE and "answered_version" in child:
        assign |= _synced(child, answer, int(str(child["answered_version"])), now)
    if answer.state is State.ACTIVE and "issued_at" not in child:
        assign["issued_at"] = timestamp(now)
    return assign, remove


def _synced(child: Item, answer: CredentialAnswer, asked_version: int, now: datetime) -> dict[str, Any]:
    version = asked_version if answer.version is None else answer.version
    is_new = child.get("synced_version") != version
    return {"synced_version": version, **({"synced_at": timestamp(now)} if is_new else {})}


def _note_app(answer: PhoneAnswer, assign: dict[str, Any], remove: set[str]) -> None:
    """Note what the phone's SDK needs, as long as the phone is not active."""
    if answer.state not in {State.PENDING, State.INVITED}:
        remove.update({"app", "app_expires_at"})
        return
    if answer.app is not None:
        assign["app"] = json.dumps(answer.app, ensure_ascii=False)
    if answer.app_expires_at is not None:
        assign["app_expires_at"] = timestamp(answer.app_expires_at)


def _note_failure(view: View, answer: PhoneAnswer | CredentialAnswer, assign: dict[str, Any], remove: set[str]) -> None:
    remove.update(OF_FAILURE)
    if answer.state is not State.FAILED:
        return
    told: dict[str, Any] = {
        "reason": _reason_of(answer),
        "profile_digest": profile_digest(view.user_identity),
    }
    if answer.message:
        told["message"] = answer.message
    assign |= told
    remove -= told.keys()


def _reason_of(failed: PhoneAnswer | CredentialAnswer) -> str:
    """Return why something failed, by the contract's table; a reason that is not in it counts as a refusal."""
    return str(failed.reason if failed.reason in set(Reason) else Reason.REJECTED)


def _note_failed(children: Any, assign: dict[str, Any], remove: set[str]) -> None:
    """Note at a registration which of its credentials failed, or were invalidated."""
    failed = frozenset(
        str(child["acs_credential_id"])
        for child in children
        if child.get("state") in {State.FAILED, State.GONE} and "being_deleted_at" not in child
    )
    if failed:
        assign["failed_acs_credential_ids"] = failed
    else:
        remove.add("failed_acs_credential_ids")


def _note_memo(answers: Any, assign: dict[str, Any]) -> None:
    for answer in answers:
        if answer.memo is not None:
            assign["memo"] = json.dumps(answer.memo, ensure_ascii=False, separators=(",", ":"))


def _note_next(next_at: datetime | None, assign: dict[str, Any], remove: set[str]) -> None:
    if next_at is None:
        remove.add("next_at")
    else:
        assign["next_at"] = timestamp(next_at)


def _next_check(answer: PhoneAnswer, checks: list[float | None], waits: int, now: datetime) -> datetime | None:
    """Return when to ask for the status again, if that is known."""
    moments = [now + _check(seconds, waits) for seconds in checks]
    if answer.state is State.INVITED:
        if answer.check_after_s is not None:
            moments.append(now + _check(answer.check_after_s, waits))
        else:
            moments.append(now + _INVITATION_IS_ASKED_FOR_AFTER)
        if answer.app_expires_at is not None and answer.app_expires_at > now:
            moments.append(answer.app_expires_at)
    if answer.state is State.FAILED and answer.reason == Reason.POOL_EXHAUSTED:
        moments.append(now + _POOL_IS_ASKED_AGAIN_AFTER)
    return min(moments, default=None)


def _needs_another_look(answer: PhoneAnswer, children: dict[str, Item]) -> bool:
    return answer.state is State.ACTIVE and any(
        child.get("state") in _IS_AT_WORK or is_behind(child) for child in children.values()
    )


def _check(seconds: float | None, waits: int) -> timedelta:
    if seconds is None:
        return _growing(waits)
    return max(_SHORTEST_CHECK, min(timedelta(seconds=min(seconds, 1e9)), _LONGEST_CHECK))


def _growing(waits: int) -> timedelta:
    """Return a wait that doubles each time, up to an hour, and is a little different for everybody."""
    longest = min(_FIRST_WAIT * 2.0 ** min(waits, 10), _LONGEST_WAIT)
    return longest * _random.uniform(1 - _JITTER, 1)


def _as_long_again(since: str, now: datetime) -> timedelta:
    """Return a wait as long as the time since a moment, up to an hour, and a little different for everybody."""
    waited = now - datetime.fromisoformat(since)
    return max(_FIRST_WAIT, min(waited, _LONGEST_WAIT)) * _random.uniform(1 - _JITTER, 1)


def _facts(answer: PhoneAnswer | CredentialAnswer, before: Item, began: str, now: datetime) -> dict[str, Any]:
    """Return what is logged of an answer; what the manager says in words can be personal, so it is left out."""
    took = now - datetime.fromisoformat(began)
    is_new = answer.state != before.get("state")
    facts: dict[str, Any] = {
        "state": str(answer.state),
        "is_new": is_new,
        "duration_ms": round(took.total_seconds() * 1000),
    }
    if answer.state is State.FAILED:
        facts["reason"] = _reason_of(answer)
    if answer.state in _IS_AT_WORK and not is_new and "state_since" in before:
        waited = now - datetime.fromisoformat(str(before["state_since"]))
        facts["waited_s"] = round(waited.total_seconds())
    return facts


def _change_credential(view: View, child: Item, changes: tuple[dict[str, Any], set[str]]) -> Action:
    assign, remove = changes
    key = acs_credential_key(view.id.workspace_id, view.id.user_identity_id, str(child["acs_credential_id"]))
    return change(key, assign=assign, remove=sorted(remove - assign.keys()))


def _change_registration(view: View, registration: Item, assign: dict[str, Any], remove: set[str]) -> Action:
    key = registration_key(*view.id[:2], str(registration["device_id"]), view.id.manager_id)
    return change(key, assign=assign, remove=sorted(remove - assign.keys()))
