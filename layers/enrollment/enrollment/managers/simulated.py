"""The simulated credential manager, which every credential manager of a sandbox workspace is.

It keeps a record of its own, as a real one does, and takes its time.  How it treats a phone depends on what the phone's
model is called: see ``Behaviour``.

A phone's record and those of its credentials are in one partition, under ids that only this service knows.  The record
of what was removed stays for a week, so that a late request brings nothing back.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from enrollment.errors import ServiceUnavailable
from enrollment.managers.protocol import NoUsableAnswerError, Reason, Request, RequestType, State
from enrollment.store.actions import Action, as_read, change, put_new
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, simulated_credential_key, simulated_phone_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp

_ROUNDS = 4
_USUAL_PACE = timedelta(seconds=1)
_SLOW = 30  # times as slow
_INVITATION_LASTS = timedelta(seconds=30)
_REMEMBERED_FOR = timedelta(days=7)


class Behaviour(StrEnum):
    """How a phone is treated.  The value is what its model's name contains, in small letters."""

    NEVER_ANSWERS = "never answers"
    FAILS_ONCE = "fails once"
    FAILS_FOR_GOOD = "fails for good"
    EMPTY_POOL = "empty pool"
    INVITATION_EXPIRES = "invitation expires"
    SLOW = "slow"
    USUAL = ""


class SimulatedManager:
    """A simulated credential manager.

    Args:
        table: The table, which has its record.
        workspace_id: The workspace.
        acs_system_id: The credential manager.
        now: Returns the time.
        pace: How long each of its steps takes.
    """

    def __init__(
        self,
        table: Table,
        workspace_id: str,
        acs_system_id: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pace: timedelta = _USUAL_PACE,
    ) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._acs_system_id = acs_system_id
        self._now = now
        self._pace = pace

    def ask(self, request: Request) -> Mapping[str, Any]:
        """Return the answer to a request.

        Args:
            request: The request.

        Raises:
            NoUsableAnswerError: It pretends not to answer.
            ServiceUnavailable: The database stays out of reach.
        """
        if request.type is RequestType.MANAGER_CHECK:
            return {"keeps_validity": True, "one_step": False, "pools": []}
        phone = request.data["phone"]
        if _behaviour(phone) is Behaviour.NEVER_ANSWERS:
            raise NoUsableAnswerError("timeout")
        registration_id = str(phone["phone_registration_id"])
        match request.type:
            case RequestType.PHONE_REGISTER:
                return self._register(registration_id, phone, int(request.data["attempt"]))
            case RequestType.PHONE_STATUS:
                named = [str(each["acs_credential_id"]) for each in request.data["credentials"]]
                return self._status(registration_id, named)
            case RequestType.PHONE_DEREGISTER:
                return self._deregister(registration_id)
            case RequestType.CREDENTIAL_ISSUE:
                return self._issue(registration_id, phone, request.data)
            case RequestType.CREDENTIAL_REVOKE:
                return self._revoke(registration_id, str(request.data["acs_credential_id"]))

    def _register(self, registration_id: str, phone: Mapping[str, Any], attempt: int) -> dict[str, Any]:
        key = self._phone_key(registration_id)
        behaviour = _behaviour(phone)
        for _ in range(_ROUNDS):
            known = self._table.get(key)
            registered: Item = {"attempt": attempt, "registered_at": timestamp(self._now())}
            if known is None:
                is_failing = behaviour is Behaviour.FAILS_ONCE
                new: Item = {"behaviour": behaviour, "has_failed": is_failing, **registered}
                if self._table.transact({"phone": put_new(key, new)}):
                    continue
                if is_failing:
                    raise NoUsableAnswerError("status_500")
                return self._phone_answer(new, registration_id)
            if "removed_at" in known or attempt <= int(str(known["attempt"])):
                return self._phone_answer(known, registration_id)
            if not self._table.transact({"phone": change(key, assign=registered, where=as_read(known, known))}):
                return self._phone_answer({**known, **registered}, registration_id)
        raise ServiceUnavailable

    def _status(self, registration_id: str, credential_ids: list[str]) -> dict[str, Any]:
        phone_key = self._phone_key(registration_id)
        found = self._table.get_all(
            [phone_key, *(self._credential_key(registration_id, one) for one in credential_ids)]
        )
        phone = found.get(phone_key)
        credentials = [
            self._credential_answer(one, found.get(self._credential_key(registration_id, one)), phone)
            for one in credential_ids
        ]
        return {**self._phone_answer(phone, registration_id), "credentials": credentials}

    def _deregister(self, registration_id: str) -> dict[str, Any]:
        return self._phone_answer(self._remove(self._phone_key(registration_id)), registration_id)

    def _issue(self, registration_id: str, phone: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        credential_id, version = str(asked["acs_credential_id"]), int(asked["version"])
        phone_key, key = self._phone_key(registration_id), self._credential_key(registration_id, credential_id)
        for _ in range(_ROUNDS):
            found = self._table.batch_get([phone_key, key])
            owner, known = found.get(phone_key), found.get(key)
            if owner is None or "removed_at" in owner or (known is not None and "removed_at" in known):
                return self._credential_answer(credential_id, known, owner)
            if self._state_of_phone(owner) is not State.ACTIVE:
                return _failed(credential_id, Reason.REJECTED, "The phone is not active.")
            if asked["pool"] is not None and _behaviour(phone) is Behaviour.EMPTY_POOL:
                return _failed(credential_id, Reason.POOL_EXHAUSTED, "The pool has no credential left.")
            if known is not None and version <= int(str(known["version"])):
                return self._credential_answer(credential_id, known, owner)
            wanted: dict[str, Any] = {"version": version, "starts_at": str(asked["starts_at"])}
            if asked["ends_at"] is not None:
                wanted["ends_at"] = str(asked["ends_at"])
            # A phone that is removed meanwhile keeps no credential.
            phone_is_there = change(
                phone_key, assign={"attempt": owner["attempt"]}, where=as_read(owner, ["removed_at", "attempt"])
            )
            credential: Action
            if known is None:
                wanted["issued_at"] = timestamp(self._now())
                credential = put_new(key, wanted)
            else:
                dropped = [name for name in ("ends_at",) if name not in wanted and name in known]
                credential = change(key, assign=wanted, remove=dropped, where=as_read(known, ["version", "removed_at"]))
            if not self._table.transact({"phone": phone_is_there, "credential": credential}):
                return self._credential_answer(credential_id, {**(known or {}), **wanted}, owner)
        raise ServiceUnavailable

    def _revoke(self, registration_id: str, credential_id: str) -> dict[str, Any]:
        removed = self._remove(self._credential_key(registration_id, credential_id))
        return self._credential_answer(credential_id, removed, {})

    def _remove(self, key: Key) -> Item:
        """Note that something is removed, also if it was never there; return its record."""
        for _ in range(_ROUNDS):
            known = self._table.get(key)
            if known is not None and "removed_at" in known:
                return known
            now = self._now()
            removed: Item = {
                "removed_at": timestamp(now),
                "deleted_after": int((now + _REMEMBERED_FOR).timestamp()),
            }
            if known is None:
                # There is nothing to wait for.
                removed = {**removed, "removed_at": timestamp(now - timedelta(days=1))}
                action = put_new(key, removed)
            else:
                action = change(key, assign=removed, where={"removed_at": None})
            if not self._table.transact({"removed": action}):
                return {**(known or {}), **removed}
        raise ServiceUnavailable

    def _phone_answer(self, phone: Item | None, registration_id: str) -> dict[str, Any]:
        state = State.GONE if phone is None else self._state_of_phone(phone)
        answer: dict[str, Any] = {"state": state, "memo": {"simulated": registration_id}}
        if phone is None:
            return answer
        match state:
            case State.ACTIVE:
                answer["endpoint_id"] = registration_id
            case State.INVITED:
                attempt = phone["attempt"]
                answer["app"] = {"invitation_code": f"SIMULATED-{registration_id[:8].upper()}-{attempt}"}
                answer["check_after_s"] = self._seconds(phone)
                if _expires(phone):
                    answer["app_expires_at"] = timestamp(_moment(phone["registered_at"]) + _INVITATION_LASTS)
            case State.FAILED if phone["behaviour"] == Behaviour.FAILS_FOR_GOOD:
                answer |= {"reason": Reason.PHONE_UNSUPPORTED, "message": "This model is not supported."}
            case State.FAILED:
                answer |= {"reason": Reason.INVITATION_EXPIRED, "message": "Nobody accepted the invitation in time."}
            case State.REMOVING:
                answer["check_after_s"] = self._seconds(phone)
        return answer

    def _credential_answer(self, credential_id: str, credential: Item | None, phone: Item | None) -> dict[str, Any]:
        answer: dict[str, Any] = {"acs_credential_id": credential_id, "state": State.GONE}
        if credential is None or phone is None or "removed_at" in phone:
            return answer
        if "removed_at" in credential:
            if self._is_over("removed_at", credential):
                return answer
            return answer | {"state": State.REMOVING, "check_after_s": self._seconds(credential)}
        answer |= {
            "version": credential["version"],
            "manager_credential_id": f"simulated-{credential_id}",
            "card_number": str(int(credential_id[:8], 16)),
            "starts_at": credential["starts_at"],
            "ends_at": credential.get("ends_at"),
        }
        slow = {"behaviour": phone["behaviour"]}
        if not self._is_over("issued_at", {**credential, **slow}):
            return answer | {"state": State.PENDING, "check_after_s": self._seconds(slow)}
        return answer | {"state": State.ACTIVE}

    def _state_of_phone(self, phone: Item) -> State:
        if "removed_at" in phone:
            return State.GONE if self._is_over("removed_at", phone) else State.REMOVING
        if phone["behaviour"] == Behaviour.FAILS_FOR_GOOD:
            return State.FAILED
        if _expires(phone):
            is_over = self._now() >= _moment(phone["registered_at"]) + _INVITATION_LASTS
            return State.FAILED if is_over else State.INVITED
        return State.ACTIVE if self._is_over("registered_at", phone) else State.INVITED

    def _is_over(self, since: str, record: Item) -> bool:
        """Return whether a step that began at a moment of a record is over."""
        return self._now() >= _moment(record[since]) + timedelta(seconds=self._seconds(record))

    def _seconds(self, record: Item) -> float:
        factor = _SLOW if record.get("behaviour") == Behaviour.SLOW else 1
        return factor * self._pace.total_seconds()

    def _phone_key(self, registration_id: str) -> Key:
        return simulated_phone_key(self._workspace_id, self._acs_system_id, registration_id)

    def _credential_key(self, registration_id: str, credential_id: str) -> Key:
        return simulated_credential_key(self._workspace_id, self._acs_system_id, registration_id, credential_id)


def _behaviour(phone: Mapping[str, Any]) -> Behaviour:
    name = str(phone["model"] or "").lower()
    return next(one for one in Behaviour if one in name)


def _expires(phone: Item) -> bool:
    return phone["behaviour"] == Behaviour.INVITATION_EXPIRES and phone["attempt"] == 1


def _failed(credential_id: str, reason: Reason, message: str) -> dict[str, Any]:
    return {"acs_credential_id": credential_id, "state": State.FAILED, "reason": reason, "message": message}


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
