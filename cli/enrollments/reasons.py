"""Why connectors do not answer, and why phones and credentials wait, in plain words for the operator."""

from datetime import UTC, datetime

from enrollment.use_cases.problems import message_of_reason
from enrollment.use_cases.waiting import Waiting, Why

_NO_USABLE_ANSWER = {
    "timeout": "it took longer than 10 s",
    "tls": "its certificate is not accepted, or the encryption failed",
    "connection": "the connection was refused or broke off",
    "no_such_host": "its name leads to no address",
    "forbidden_address": "its name leads to an address that is not on the public internet",
    "too_long": "its answer is longer than 256 kB",
    "not_json": "its answer is not JSON",
    "not_the_protocol": "its answer is not one of the protocol",
    "busy": "it has too much to do (it answered 429 or 503)",
    "no_access": "it refuses this service's requests (it answered 401 or 403)",
}
_STATUS = "status_"
_PAUSES = {
    "busy": "it has too much to do (it answered 429 or 503)",
    "disconnected": "it refuses this service's requests (it answered 401 or 403)",
}
_WORK = {
    "register": "it is to be registered",
    "ask_for_status": "the manager is to be asked how it stands",
    "deregister": "it is to be taken from the manager",
    "issue": "it is to be issued",
    "revoke": "it is to be revoked",
    "delete": "its record is to be deleted",
    "show_as_issued": "it is to show that it is issued",
}
_WHY = {
    Why.NO_AUTOMATION: "no enrollment automation: launch one for the person",
    Why.NO_PHONE: "the person has no phone",
    Why.PHONE_NOT_ACTIVE: "waits for its phone; see `enrollments phones`",
    Why.NO_CREDENTIAL: "waits until the person has a credential that is valid, because registering issues it",
    Why.STARTS_LATER: "waits until its validity starts",
    Why.NO_CONNECTOR: "the credential manager has no connector; `enrollments connectors set` gives it one",
    Why.CONNECTOR_PAUSED: "an operator has paused the connector; `enrollments connectors resume` ends that",
    Why.NOT_YET_CHECKED: "the connector has not answered manager.check yet",
    Why.MANAGER_BUSY: f"the credential manager is paused: {_PAUSES['busy']}",
    Why.NO_ACCESS: f"the credential manager is paused: {_PAUSES['disconnected']}",
    Why.NO_USABLE_ANSWER: "no usable answer of the credential manager",
    Why.MANAGER_AT_WORK: "the credential manager is at work",
    Why.INVITED: "the person has not accepted the invitation",
    Why.REMOVING: "the credential manager is removing it",
    Why.FAILED: "failed",
    Why.GONE: "the credential manager has removed it unasked; `enrollments provisioning retry` asks for it again",
    Why.DUE: "due now",
}


def moment(text: object) -> str:
    """Return a stored moment as commands print it: ``2026-11-30 23:33:00 UTC``."""
    return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def why_unanswered(because: str) -> str:
    """Return why there is no usable answer.

    Args:
        because: The word of ``NoUsableAnswerError``.
    """
    if because.startswith(_STATUS):
        return f"it answered with the HTTP status {because.removeprefix(_STATUS)}"
    return _NO_USABLE_ANSWER.get(because, because)


def why_paused(reason: str) -> str:
    """Return why a manager is paused, by the reason in its pause's item."""
    return _PAUSES.get(reason, reason)


def sentence_of(waiting: Waiting) -> str:
    """Return why a phone or a credential waits, since when, and when it is looked at next."""
    if waiting.why is None:
        return f"waits for nothing, since {moment(waiting.since)}"
    text = _WHY[waiting.why]
    if (more := more_of(waiting)) is not None:
        text = f"{text}: {more}"
    text = f"{text}; since {moment(waiting.since)}"
    if waiting.is_due:
        return text if waiting.why is Why.DUE else f"{text}; next look now"
    return text if waiting.next_at is None else f"{text}; next look {moment(waiting.next_at)}"


def more_of(waiting: Waiting) -> str | None:
    """Return the words of ``because``; ``None`` if there is nothing more to say."""
    if waiting.because is None:
        return None
    match waiting.why:
        case Why.NO_USABLE_ANSWER | Why.NOT_YET_CHECKED:
            return why_unanswered(waiting.because)
        case Why.FAILED:
            return message_of_reason(waiting.because).removesuffix(".")
        case Why.DUE:
            return _WORK[waiting.because]
    return None
