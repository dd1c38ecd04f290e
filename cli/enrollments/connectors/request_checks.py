"""Checks of a connector that need no phone: signatures, bodies, and what it can do."""

import json
import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import partial

from enrollment.outbound.https import Attempt
from enrollments.connectors.asking import came_of
from enrollments.connectors.findings import NotAsAgreed, saying
from enrollments.connectors.trial import Trial

_BODY = '{"type":"manager.check","data":{}}'
_ACCEPTED, _REFUSED = range(200, 300), range(400, 500)
# These pause the whole manager, so they are no answers to one bad request.
_PAUSING = (401, 403, 429)
_NO_ACCESS = (401, 403)
_BUSY = (429, 503)


def check_manager(trial: Trial) -> bool:
    """Ask what the connector can do.  Return whether there is anybody to go on with.

    Args:
        trial: The trial.
    """
    report = trial.report
    report.begin("What the credential manager can do", "managercheck")
    attempt = trial.asker.send(_BODY)
    is_there = attempt.status in _ACCEPTED or attempt.status in _BUSY  # a busy one is waited for
    with report.check("manager.check", "a usable answer", None if is_there else "statuses"):
        if attempt.status in _NO_ACCESS:
            raise NotAsAgreed(_came(attempt), "a right signature must be accepted; is it the connector's secret?")
        trial.manager = trial.asker.check_manager()
        pools = ", ".join(
            saying(one.pool if one.available is None else f"{one.pool} ({one.available} left)")
            for one in trial.manager.pools
        )
        keeps, one_step = (str(one).lower() for one in (trial.manager.keeps_validity, trial.manager.one_step))
        report.note(f"keeps_validity {keeps}, one_step {one_step}, pools: {pools or 'none'}")
    if not is_there:
        report.note("Nothing more is tried until manager.check is answered.")
        return False
    with report.check("manager.check with unknown properties", "they are ignored", "a-request"):
        trial.asker.check_manager(colour="red")
        _require(trial.asker.send('{"type":"manager.check","data":{},"colour":"red"}'), _ACCEPTED, "a 200")
    return True


def check_signatures(trial: Trial) -> None:
    """Send requests whose signatures are wrong, and some that are signed in an unusual way.

    Args:
        trial: The trial.
    """
    send, now = trial.asker.send, datetime.now(UTC)
    other = "whsec_" + b64encode(uuid.uuid4().bytes + uuid.uuid4().bytes).decode()
    refused = {
        "a signature by another secret": partial(send, _BODY, secrets=[other]),
        "no signature": partial(send, _BODY, headers={"webhook-signature": None}),
        "no webhook-id": partial(send, _BODY, headers={"webhook-id": None}),
        "no webhook-timestamp": partial(send, _BODY, headers={"webhook-timestamp": None}),
        "a signature that is no base64": partial(send, _BODY, headers={"webhook-signature": "v1,~ v1, v1 ,"}),
        "a body that was changed after the signature": partial(send, _BODY + " ", signed_body=_BODY),
        "a webhook-id that was changed": partial(send, _BODY, headers={"webhook-id": str(uuid.uuid4())}),
        "a timestamp that is no number": partial(send, _BODY, headers={"webhook-timestamp": "yesterday"}),
        "a timestamp of 10 minutes ago, rightly signed": partial(send, _BODY, at=now - timedelta(minutes=10)),
        "a timestamp in 10 minutes, rightly signed": partial(send, _BODY, at=now + timedelta(minutes=10)),
    }
    trial.report.begin("Signatures", "signatures")
    for what, refuse in refused.items():
        with trial.report.check(what, "refused with 401"):
            _require(refuse(), range(401, 402), "401")
    own = trial.asker.secret
    for what, secrets in {
        "two signatures, the second by the right secret": [other, own],
        "two signatures, the first by the right secret": [own, other],
    }.items():
        with trial.report.check(what, "accepted, as a change of the secret needs it"):
            _require(send(_BODY, secrets=secrets), _ACCEPTED, "a 200")
    with trial.report.check("a timestamp of 4 minutes ago, rightly signed", "accepted"):
        _require(send(_BODY, at=now - timedelta(minutes=4)), _ACCEPTED, "a 200")


def check_bodies(trial: Trial) -> None:
    """Send bodies that nobody should send, rightly signed.

    Args:
        trial: The trial.
    """
    trial.report.begin("Bodies that make no sense, rightly signed", "statuses")
    for what, body in {
        "an unknown type": json.dumps({"type": "door.open", "data": {}}),
        "a body that is not JSON": "not JSON {",
        "a body that is JSON and no object": "[1]",
    }.items():
        with trial.report.check(what, "refused"):
            attempt = trial.asker.send(body)
            _require(attempt, _REFUSED, "a 400")
            if attempt.status in _PAUSING:
                raise NotAsAgreed(_came(attempt), "that pauses the whole manager; a 400 must come")


def _require(attempt: Attempt, statuses: range, must: str) -> None:
    if attempt.status not in statuses:
        raise NotAsAgreed(_came(attempt), f"{must} must come")


def _came(attempt: Attempt) -> str:
    return came_of(attempt.failure or "no_answer") if attempt.status is None else f"status {attempt.status} came"
