"""A connector: it turns this service's requests into a manufacturer's.  Copy this file, and edit it.

Start it in the project's folder::

    CONNECTOR_SECRET=whsec_… make connector

docs/connector.md has the protocol.  Each request has a function here that is called like it.  The manufacturer is
pretended (manufacturer.py).  To use a real one, change what these functions call, and the tables above them.

The connector keeps nothing.  The manufacturer keeps our ids, as its references, and the attempt or version that it has,
as its notes.  So nothing here can differ from what the manufacturer has, whatever was lost: an answer, this process, or
its disk.  A request whose answer was lost finds by our ids what it made.  Our ids stay with what was removed, so a
request that comes late brings nothing back.  The memo only saves a search.

Requests about one person are handled one after another, by locks in this process.  If you run several processes, give
them a lock that they share.  A real connector also needs HTTPS and a server for production, for example gunicorn.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError
from werkzeug.serving import make_server

from examples.connector.manufacturer import (
    Credential,
    CredentialState,
    EmailIsMissing,
    EmailIsTaken,
    IsBusy,
    Manufacturer,
    ManufacturerError,
    Model,
    NoSuchPool,
    PersonHasPhones,
    PersonIsSuspended,
    Phone,
    PhoneIsNotActive,
    PhoneIsTooOld,
    PhoneState,
    PoolIsEmpty,
    TooManyCredentials,
    TooManyPhones,
    Validity,
)

type Json = dict[str, Any]

MOST_BYTES = 1024 * 1024
CHECK_AFTER_S = 1  # this manufacturer is quick; a real one takes 10 s or more
USUAL_POOL = "standard"  # for credentials that name no pool

STATES = {
    PhoneState.INVITED: "invited",
    PhoneState.EXPIRED: "failed",
    PhoneState.ACTIVE: "active",
    PhoneState.REMOVING: "removing",
    PhoneState.REMOVED: "gone",
    PhoneState.TAKEN_AWAY: "gone",
    CredentialState.BEING_MADE: "pending",
    CredentialState.ACTIVE: "active",
    CredentialState.REMOVING: "removing",
    CredentialState.REMOVED: "gone",
    CredentialState.TAKEN_AWAY: "gone",
}

# Any other error is a 500, which the service repeats.  It must not become an answer that ends something.
REASONS: Mapping[type[ManufacturerError], str] = {
    EmailIsMissing: "email_required",
    EmailIsTaken: "person_conflict",
    PersonIsSuspended: "suspended_at_manager",
    PhoneIsTooOld: "phone_unsupported",
    TooManyPhones: "phone_limit_reached",
    TooManyCredentials: "credential_limit_reached",
    PoolIsEmpty: "pool_exhausted",
    NoSuchPool: "rejected",
    PhoneIsNotActive: "rejected",
}


def manager_check(manufacturer: Manufacturer, _: Json) -> Json:
    """Say what this manufacturer can do, and what its pools have left."""
    pools = [{"pool": pool, "available": available} for pool, available in manufacturer.available().items()]
    return {"keeps_validity": True, "one_step": False, "pools": pools}


def phone_register(manufacturer: Manufacturer, data: Json) -> Json:
    """Invite the phone.  A higher attempt replaces an invitation that has expired, or that an administrator ended."""
    person, phone, attempt = data["person"], data["phone"], data["attempt"]
    known = _find_phone(manufacturer, data)
    if known is None:
        _put_person(manufacturer, person)
        model = Model(phone["model"], phone["os"], phone["os_version"])
        ids = (person["user_identity_id"], phone["phone_registration_id"])
        return _about_phone(manufacturer.invite(*ids, model, note=str(attempt)))
    if known.removed_at is not None:
        return {"state": "gone"}  # the request is late
    if known.state in {PhoneState.EXPIRED, PhoneState.TAKEN_AWAY} and attempt > int(known.note):
        _put_person(manufacturer, person)
        known = manufacturer.invite_again(known.id, note=str(attempt))
    return _about_phone(known)


def phone_status(manufacturer: Manufacturer, data: Json) -> Json:
    """Say how the phone and its credentials stand."""
    ids = [each["acs_credential_id"] for each in data["credentials"]]
    credentials = [{"acs_credential_id": one, **_about(manufacturer.find_credential(one))} for one in ids]
    return {**_about_phone(_find_phone(manufacturer, data)), "credentials": credentials}


def phone_deregister(manufacturer: Manufacturer, data: Json) -> Json:
    """Remove the phone with its credentials, and the person with the last phone."""
    removed = manufacturer.remove_phone(data["phone"]["phone_registration_id"])
    if data["is_last_phone"]:
        with suppress(PersonHasPhones):  # the request is late, and the person has a new phone
            manufacturer.remove_person(data["person"]["user_identity_id"])
    return _about_phone(removed)


def credential_issue(manufacturer: Manufacturer, data: Json) -> Json:
    """Issue the credential.  A higher version changes its validity; a version that comes late changes nothing.

    If your manufacturer keeps no references: the phone's credential that is not in ``known_manager_credential_ids`` is
    the one whose answer was lost.
    """
    phone, credential_id, version = _find_phone(manufacturer, data), data["acs_credential_id"], data["version"]
    known = manufacturer.find_credential(credential_id)
    if phone is None or phone.removed_at is not None or (known is not None and known.removed_at is not None):
        return {"state": "gone"}  # the request is late
    ends_at = None if data["ends_at"] is None else datetime.fromisoformat(data["ends_at"])
    validity = Validity(datetime.fromisoformat(data["starts_at"]), ends_at)
    if known is None:
        pool = data["pool"] or USUAL_POOL
        return _about(manufacturer.issue(phone.id, credential_id, pool, validity, note=str(version)))
    if STATES[known.state] != "gone" and version > int(known.note):
        known = manufacturer.change_credential(credential_id, validity, note=str(version))
    return _about(known)


def credential_revoke(manufacturer: Manufacturer, data: Json) -> Json:
    """Remove the credential."""
    return _about(manufacturer.remove_credential(data["acs_credential_id"]))


ANSWERS = {
    "manager.check": manager_check,
    "phone.register": phone_register,
    "phone.status": phone_status,
    "phone.deregister": phone_deregister,
    "credential.issue": credential_issue,
    "credential.revoke": credential_revoke,
}


def create_app(secret: str, manufacturer: Manufacturer) -> Flask:
    """Return the connector as a WSGI application.

    Args:
        secret: What the service signs requests with: ``whsec_…``, as ``enrollments connectors set`` prints it.
        manufacturer: The manufacturer.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES  # Flask answers 413 to more
    signature = Webhook(secret)
    locks = [threading.Lock() for _ in range(64)]  # people share them, so that they do not become more and more

    @app.post("/")
    def answer() -> ResponseReturnValue:
        body = request.get_data()
        try:
            signature.verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return _refuse(401, "the signature is wrong")
        try:
            asked = json.loads(body)
        except ValueError:
            return _refuse(400, "the body is not JSON")
        if not isinstance(asked, dict) or str(asked.get("type")) not in ANSWERS:
            return _refuse(400, "the type is unknown")
        kind, data = str(asked["type"]), asked.get("data") or {}
        person_id = data["person"]["user_identity_id"] if kind != "manager.check" else ""
        try:
            with locks[hash(person_id) % len(locks)]:
                answered = ANSWERS[kind](manufacturer, data)
        except IsBusy as busy:
            return *_refuse(503, "the manufacturer is busy"), {"Retry-After": str(int(busy.retry_after_s) + 1)}
        except tuple(REASONS) as error:
            answered = {"state": "failed", "reason": REASONS[type(error)], "message": str(error)}
        if kind.startswith("credential."):
            answered["acs_credential_id"] = data["acs_credential_id"]
        phone_id = data.get("phone", {}).get("phone_registration_id", "")
        print(*filter(None, (kind, phone_id, answered.get("state"), answered.get("reason"))), flush=True)
        return jsonify(answered)

    return app


def _find_phone(manufacturer: Manufacturer, data: Json) -> Phone | None:
    """Return the phone: by the memo's id, which saves a search, or by our id, which is always there."""
    known_id = (data.get("memo") or {}).get("phone_id")
    phone = manufacturer.get_phone(known_id) if known_id else None
    return phone or manufacturer.find_phone(data["phone"]["phone_registration_id"])


def _put_person(manufacturer: Manufacturer, person: Json) -> None:
    manufacturer.put_person(person["user_identity_id"], person["full_name"], person["email_address"])


def _about_phone(phone: Phone | None) -> Json:
    if phone is None:
        return {"state": "gone"}
    answered: Json = {"state": STATES[phone.state], "memo": {"phone_id": phone.id}}
    if phone.state is PhoneState.INVITED:
        app = {"invitation_code": phone.code}
        answered |= {"app": app, "app_expires_at": phone.code_ends_at.isoformat(), "check_after_s": CHECK_AFTER_S}
    elif phone.state is PhoneState.EXPIRED:
        answered |= {"reason": "invitation_expired", "message": "Nobody accepted the invitation in time."}
    elif phone.state is PhoneState.ACTIVE:
        answered["endpoint_id"] = phone.id
    elif phone.state is PhoneState.REMOVING:
        answered["check_after_s"] = CHECK_AFTER_S
    return answered


def _about(credential: Credential | None) -> Json:
    state = "gone" if credential is None else STATES[credential.state]
    if credential is None or state == "gone":
        return {"state": "gone"}
    answered: Json = {"state": state, "manager_credential_id": credential.id}
    if state in {"pending", "removing"}:
        answered["check_after_s"] = CHECK_AFTER_S
    if state != "removing":
        starts_at, ends_at = (moment and moment.isoformat() for moment in credential.validity)
        answered |= {"version": int(credential.note), "card_number": credential.card_number}
        answered |= {"starts_at": starts_at, "ends_at": ends_at}
    return answered


def _refuse(status: int, because: str) -> tuple[Json, int]:
    print(f"{status}: {because}", flush=True)
    return {"message": because}, status


def main() -> None:
    """Serve the connector on this machine."""
    port = int(os.environ.get("PORT", "3100"))
    try:
        app = create_app(os.environ["CONNECTOR_SECRET"], Manufacturer())
    except (KeyError, ValueError, EmptyWebhookSecretError):
        sys.exit("Set CONNECTOR_SECRET to the secret that enrollments connectors set printed.  It begins with whsec_.")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # this file prints a line for each request
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(f"The connector answers on http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
