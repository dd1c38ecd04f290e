"""What a credential manager is asked, and what must still be so when it is asked."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from enrollment.managers.protocol import Request, RequestType, State
from enrollment.store.actions import Action, as_read, change, put_new, require, require_absent
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_credential
from enrollment.store.keys import (
    Key,
    acs_credential_key,
    acs_user_key,
    acs_user_link_key,
    automation_key,
    phone_key,
    registration_key,
)
from enrollment.use_cases.convergence import (
    AskForStatus,
    Deregister,
    Issue,
    Register,
    RequestStep,
    Revoke,
    is_at_work_for,
    source_of,
)
from enrollment.use_cases.enrollments import View, registration_id_of
from enrollment.use_cases.links import use_user_identity

# Names the ids of requests and of the credentials of phones; they were made up once and never change.
_REQUEST_IDS = uuid.UUID("5b1f3e0a-52c7-4d0e-9c59-6d8f7a4c2b10")
_CREDENTIAL_IDS = uuid.UUID("c2a9f4d6-0d3b-4b8f-8f5e-91b7e6a3d748")

# A status asks about so many credentials at once.  What is learned of each takes an action of one transaction.
_MOST_IN_A_STATUS = 60
# How a credential stands that the manager has.
_AT_MANAGER = (State.PENDING, State.ACTIVE, State.REMOVING)
# What is told of a failure, and is over when it is asked again.
OF_FAILURE = ("reason", "message", "profile_digest")


@dataclass(frozen=True, slots=True)
class Asking:
    """A request that is about to be sent.

    Attributes:
        request: The request.
        registration: The phone's registration, as it is once ``actions`` are done.
        credential: The credential that it is about, as it is then; ``None`` if it is about a phone.
        actions: The actions that check what the request is based on, and note what is asked.
        facts: What is logged of it.
    """

    request: Request
    registration: Item
    credential: Item | None
    actions: Mapping[str, Action]
    facts: Mapping[str, Any]


def prepare(view: View, step: RequestStep, now: str) -> Asking:
    """Return the request of a step.

    Args:
        view: The enrollment.
        step: The step, from ``next_step``.
        now: The time, as ``timestamp`` writes it.
    """
    match step:
        case Register():
            return _register(view, step, now)
        case AskForStatus(device_id):
            return _ask_for_status(view, view.registrations[device_id])
        case Deregister(device_id):
            return _deregister(view, view.registrations[device_id])
        case Issue(device_id, credential_id, source_id):
            registration = view.registrations[device_id]
            if credential_id is None:
                return _issue_new(view, registration, source_id, now)
            return _issue_again(view, registration, view.children[credential_id], now)
        case Revoke(credential_id):
            return _revoke(view, view.children[credential_id])


def asked_at(thing: Item, moment: str) -> str:
    """Return when a thing counts as asked for: not before somebody wanted that, by a clock that may be ahead.

    Args:
        thing: A registration, or a phone's credential.
        moment: When it is asked for.
    """
    return max(moment, str(thing.get("nudged_at", "")))


def _register(view: View, step: Register, now: str) -> Asking:
    workspace_id, identity_id, manager_id = view.id
    device_id, attempt, source_id = step.device_id, step.attempt, step.source_id
    known, phone = view.registrations.get(device_id), view.phones[device_id]
    key = registration_key(workspace_id, identity_id, device_id, manager_id)
    asked: dict[str, Any] = {
        "attempt": attempt,
        "phone": json.dumps(_phone(phone)),
        "asked_at": asked_at(known or {}, now),
    }
    if source_id is None:
        actions = {"user_identity": use_user_identity(workspace_id, identity_id)}
        listed: dict[str, frozenset[str]] = {}
    else:
        child, actions = _credential_of_registering(view, device_id, source_id, now)
        asked["registered_for"] = child["acs_credential_id"]
        listed = {"acs_credential_ids": frozenset({str(child["acs_credential_id"])})}
    if known is None:
        registration: Item = {
            **view.id.to_json(),
            "device_id": device_id,
            "phone_registration_id": registration_id_of(device_id, manager_id),
            "created_at": now,
            **asked,
        }
        automation = view.automation or {}
        actions |= {
            "registration": put_new(key, {**registration, **listed}),
            "phone": change(
                phone_key(workspace_id, identity_id, device_id), add={"registered_with": frozenset({manager_id})}
            ),
            "automation": require(
                automation_key(workspace_id, identity_id, manager_id),
                as_read(automation, ["enrollment_automation_id"]),
            ),
        }
    else:
        dropped = [name for name in ("state", "next_at", *OF_FAILURE) if name in known]
        where = as_read(known, ["attempt", "state", *(["acs_credential_ids", "removals"] if listed else [])])
        registration = {**{name: value for name, value in known.items() if name not in dropped}, **asked}
        actions |= {
            "registration": change(key, assign=asked, remove=dropped, add=listed, where=where),
            "phone": require(phone_key(workspace_id, identity_id, device_id)),
        }
    request_id = _request_id(RequestType.PHONE_REGISTER, registration, attempt)
    return _about_phone(view, registration, RequestType.PHONE_REGISTER, request_id, actions, {"attempt": attempt})


def _credential_of_registering(view: View, device_id: str, source_id: str, now: str) -> tuple[Item, dict[str, Action]]:
    """Return the credential that registering a phone makes, and the actions that check it, and put it if it is new."""
    registration = view.registrations.get(device_id, {})
    for child in view.children_of(registration):
        if source_of(child) == source_id:
            key = acs_credential_key(view.id.workspace_id, view.id.user_identity_id, str(child["acs_credential_id"]))
            is_there = require(key, as_read(child, ["being_deleted_at"]))
            return child, {**_guards_of_issue(view, child), "credential": is_there}
    child = _new_child(view, device_id, int(str(registration.get("removals", 0))), source_id, now)
    return child, _put_child(view, child)


def _ask_for_status(view: View, registration: Item) -> Asking:
    # What failed or is gone may never have been at the manager.  The answer that it is gone would say nothing new.
    children = [child for child in view.children_of(registration) if child.get("state") in _AT_MANAGER]
    children.sort(key=lambda child: not is_at_work_for(child))
    named = [_named(child) for child in children[:_MOST_IN_A_STATUS]]
    actions = {"registration": require(_key_of(view, registration))}
    request_id = str(uuid.uuid4())  # each answer can be another one
    return _about_phone(view, registration, RequestType.PHONE_STATUS, request_id, actions, {"credentials": named})


def _deregister(view: View, registration: Item) -> Asking:
    others = [one for one in view.registrations.values() if one["device_id"] != registration["device_id"]]
    is_last_phone = all("deregistered_at" in one for one in others)
    device_id = str(registration["device_id"])
    actions = {
        "registration": require(_key_of(view, registration)),
        # The phone of an installation that registers again is another one, so this one stays absent.
        "phone": require_absent(phone_key(view.id.workspace_id, view.id.user_identity_id, device_id)),
    }
    request_id = _request_id(RequestType.PHONE_DEREGISTER, registration)
    more = {"is_last_phone": is_last_phone}
    return _about_phone(view, registration, RequestType.PHONE_DEREGISTER, request_id, actions, more)


def _issue_new(view: View, registration: Item, source_id: str, now: str) -> Asking:
    device_id, removals = str(registration["device_id"]), int(str(registration.get("removals", 0)))
    child = {**_new_child(view, device_id, removals, source_id, now), "asked_at": now}
    registered = change(
        _key_of(view, registration),
        add={"acs_credential_ids": frozenset({str(child["acs_credential_id"])})},
        where=as_read(registration, ["acs_credential_ids", "removals", "state"]),
    )
    actions = {"registration": registered, **_put_child(view, child)}
    return _about_credential(view, registration, child, RequestType.CREDENTIAL_ISSUE, actions)


def _new_child(view: View, device_id: str, removals: int, source_id: str, now: str) -> Item:
    """Return a credential of a phone that nobody asked for by its id yet."""
    manager_id = view.id.manager_id
    credential_id = str(uuid.uuid5(_CREDENTIAL_IDS, f"{source_id} {device_id} {manager_id} {removals}"))
    parent = view.parents.get(source_id)
    child: dict[str, Any] = {
        **view.id.to_json(),
        "acs_credential_id": credential_id,
        "device_id": device_id,
        "created_at": now,
    }
    if parent is None:
        child |= {
            "acs_credential_pool_id": source_id,
            "acs_user_id": view.acs_user_id,
            "acs_system_id": manager_id,
            "version": 1,
            "starts_at": now,
        }
    else:
        child |= {
            "parent_acs_credential_id": source_id,
            "acs_user_id": parent["acs_user_id"],
            "acs_system_id": parent["acs_system_id"],
            **_validity(parent),
        }
    return child


def _put_child(view: View, child: Item) -> dict[str, Action]:
    """Return the actions that put a new credential of a phone, and list it at its ACS user, if it is still wanted."""
    listed = change(
        acs_user_key(view.id.workspace_id, str(child["acs_user_id"])),
        add={"acs_credential_ids": frozenset({str(child["acs_credential_id"])})},
        where={"user_identity_id": view.id.user_identity_id, "acs_system_id": str(child["acs_system_id"])},
    )
    put_child = {str(key): put_new(key, item) for key, item in stored_acs_credential(child).items()}
    return {"acs_user": listed, **_guards_of_issue(view, child, is_new=True), **put_child}


def _issue_again(view: View, registration: Item, child: Item, now: str) -> Asking:
    parent = view.parents.get(str(child.get("parent_acs_credential_id")))
    asked: dict[str, Any] = {"asked_at": asked_at(child, now), **_validity(parent or child)}
    dropped = ["ends_at"] if "ends_at" in child and "ends_at" not in asked else []
    if child.get("state") == State.FAILED:
        dropped += [name for name in ("state", "next_at", *OF_FAILURE) if name in child]
    key = acs_credential_key(view.id.workspace_id, view.id.user_identity_id, str(child["acs_credential_id"]))
    where = as_read(child, ["version", "ends_at", "being_deleted_at", "state"])
    actions = {
        "credential": change(key, assign=asked, remove=dropped, where=where),
        **_guards_of_issue(view, child),
    }
    renewed = {**{name: value for name, value in child.items() if name not in dropped}, **asked}
    return _about_credential(view, registration, renewed, RequestType.CREDENTIAL_ISSUE, actions)


def _revoke(view: View, child: Item) -> Asking:
    key = acs_credential_key(view.id.workspace_id, view.id.user_identity_id, str(child["acs_credential_id"]))
    actions = {"credential": require(key, as_read(child, ["being_deleted_at"]))}
    registration = view.registrations[str(child["device_id"])]
    return _about_credential(view, registration, child, RequestType.CREDENTIAL_REVOKE, actions)


def _guards_of_issue(view: View, child: Item, *, is_new: bool = False) -> dict[str, Action]:
    """Return the actions that check that a credential of a phone is still wanted."""
    workspace_id, identity_id, manager_id = view.id
    guards = {
        "user_identity": use_user_identity(workspace_id, identity_id),
        "phone": require(phone_key(workspace_id, identity_id, str(child["device_id"]))),
    }
    if "parent_acs_credential_id" in child:
        parent = view.parents[str(child["parent_acs_credential_id"])]
        key = acs_credential_key(workspace_id, identity_id, str(parent["acs_credential_id"]))
        return guards | {"parent": require(key, as_read(parent, ["version", "ends_at"]))}
    link_key = acs_user_link_key(workspace_id, identity_id, manager_id)
    guards["link"] = require(link_key, {"acs_user_id": str(child["acs_user_id"])})
    if is_new:  # what a phone has, or may have, stays when its automation is deleted
        automation = view.automation or {}
        named = as_read(automation, ["enrollment_automation_id", "requested_acs_credential_pool_id"])
        guards["automation"] = require(automation_key(workspace_id, identity_id, manager_id), named)
    return guards


def _about_phone(  # noqa: PLR0913, PLR0917 - the parts of a request
    view: View,
    registration: Item,
    kind: RequestType,
    request_id: str,
    actions: Mapping[str, Action],
    more: Mapping[str, Any],
) -> Asking:
    request = Request(request_id, kind, {**_common(view, registration), **more})
    facts = {"device_id": registration["device_id"], "attempt": registration["attempt"]}
    return Asking(request, registration, None, actions, facts)


def _about_credential(
    view: View, registration: Item, child: Item, kind: RequestType, actions: Mapping[str, Action]
) -> Asking:
    credential_id = str(child["acs_credential_id"])
    data: dict[str, Any] = {**_common(view, registration), **_named(child)}
    if kind is RequestType.CREDENTIAL_ISSUE:
        parent = view.parents.get(str(child.get("parent_acs_credential_id"))) or {}
        others = [one for one in view.children_of(registration) if one["acs_credential_id"] != credential_id]
        del data["manager_credential_id"]
        data |= {
            "version": child["version"],
            "starts_at": child["starts_at"],
            "ends_at": child.get("ends_at"),
            "pool": _pool(view, child),
            "options": json.loads(str(parent.get("options", "{}"))),
            "known_manager_credential_ids": [
                one["manager_credential_id"] for one in others if "manager_credential_id" in one
            ],
        }
    version = child["version"] if kind is RequestType.CREDENTIAL_ISSUE else ""
    request = Request(_request_id(kind, registration, credential_id, version), kind, data)
    facts = {"device_id": registration["device_id"], "acs_credential_id": credential_id}
    return Asking(request, registration, child, actions, facts)


def _pool(view: View, child: Item) -> str | None:
    """Return the manager's name of the pool that a credential comes from."""
    pool_id = child.get("acs_credential_pool_id")
    return None if pool_id is None else view.names_of_pools.get(str(pool_id), str(pool_id))


def _common(view: View, registration: Item) -> dict[str, Any]:
    person = view.user_identity or {}
    return {
        "person": {
            "user_identity_id": view.id.user_identity_id,
            "acs_user_id": view.acs_user_id,
            **{name: person.get(name) for name in ("full_name", "email_address", "phone_number")},
        },
        "phone": {
            "phone_registration_id": registration["phone_registration_id"],
            **json.loads(str(registration["phone"])),
        },
        "memo": json.loads(str(registration["memo"])) if "memo" in registration else None,
    }


def _phone(phone: Item) -> dict[str, Any]:
    return {
        "os": str(phone["device_type"]).removesuffix("_phone"),
        "manufacturer": phone.get("device_manufacturer"),
        "model": phone.get("device_model"),
        "os_version": phone.get("os_version"),
    }


def _named(child: Item) -> dict[str, Any]:
    return {
        "acs_credential_id": child["acs_credential_id"],
        "manager_credential_id": child.get("manager_credential_id"),
    }


def _validity(credential: Item) -> dict[str, Any]:
    return {name: credential[name] for name in ("version", "starts_at", "ends_at") if name in credential}


def _key_of(view: View, registration: Item) -> Key:
    return registration_key(*view.id[:2], str(registration["device_id"]), view.id.manager_id)


def _request_id(kind: RequestType, registration: Item, *parts: object) -> str:
    return str(uuid.uuid5(_REQUEST_IDS, " ".join(map(str, (kind, registration["phone_registration_id"], *parts)))))
