"""Why connectors do not answer, and why phones and credentials wait, in plain words for the operator."""

from collections.abc import Mapping
from datetime import UTC, datetime

from enrollment.use_cases.convergence import Step
from enrollment.use_cases.pauses import PauseReason
from enrollment.use_cases.problems import message_of_reason
from enrollment.use_cases.waiting import WORD_OF_STEP, Waiting, Why

_IS_BUSY = "it has too much to do (it answered 429 or 503)"
_REFUSES = "it refuses this service's requests (it answered 401 or 403)"
_NO_USABLE_ANSWER = {
    "timeout": "it took longer than 10 s",
    "tls": "its certificate is not accepted, or the encryption failed",
    "connection": "the connection was refused or broke off",
    "no_such_host": "its name leads to no address",
    "forbidden_address": "its name leads to an address that is not on the public internet",
    "too_long": "its answer is longer than 256 kB",
    "not_json": "its answer is not JSON",
    "not_the_protocol": "its answer is not one of the protocol",
    "busy": _IS_BUSY,
    "no_access": _REFUSES,
}
_STATUS = "status_"
_PAUSES = {
    PauseReason.BUSY: _IS_BUSY,
    PauseReason.DISCONNECTED: _REFUSES,
}
_WORK = {
    "register": "a phone is to be registered",
    "ask_for_status": "the credential manager is to be asked how a phone stands",
    "deregister": "a phone is to be removed",
    "issue": "a credential is to be issued",
    "revoke": "a credential is to be revoked",
    "delete": "what the credential manager no longer has is to be deleted",
    "show_as_issued": "a credential is to show that it is issued",
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
    Why.MANAGER_BUSY: f"the credential manager is paused: {_IS_BUSY}",
    Why.NO_ACCESS: f"the credential manager is paused: {_REFUSES}",
    Why.NO_USABLE_ANSWER: "no usable answer of the credential manager",
    Why.MANAGER_AT_WORK: "the credential manager is at work",
    Why.INVITED: "the person has not accepted the invitation",
    Why.REMOVING: "the credential manager is removing it",
    Why.FAILED: "failed",
    Why.GONE: "the credential manager has removed it unasked; it is registered again when its app next opens",
    Why.DUE: "due now",
}
_CREDENTIAL_IS_GONE = (
    "the credential manager has removed it unasked; `enrollments provisioning retry` asks for it again"
)


def moment(text: object) -> str:
    """Return a stored moment as commands print it: ``2026-11-30 23:33:00 UTC``."""
    return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def minute(text: object) -> str:
    """Return a stored moment as lists print it: ``2026-11-30 23:33 UTC``."""
    return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


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
    return _PAUSES[PauseReason(reason)]


def what_is_due(step: Step) -> str:
    """Return what is to be done for an enrollment."""
    return _WORK[WORD_OF_STEP[type(step)]]


def sentence_of(waiting: Waiting) -> str:
    """Return why a phone or a credential waits, since when, and when it is looked at next."""
    if waiting.why is None:
        return f"waits for nothing, since {moment(waiting.since)}"
    is_credential = waiting.acs_credential_id is not None
    text = _CREDENTIAL_IS_GONE if is_credential and waiting.why is Why.GONE else _WHY[waiting.why]
    if (more := more_of(waiting)) is not None:
        text = f"{text}: {more}"
    text = f"{text}; since {moment(waiting.since)}"
    if waiting.is_due:
        return text if waiting.why is Why.DUE else f"{text}; next look now"
    return text if waiting.next_at is None else f"{text}; next look {moment(waiting.next_at)}"


def words_of_removals(people: Mapping[str, int]) -> str:
    """Return what credential managers still have of deleted people.

    Args:
        people: How many people have something there, by credential manager.
    """
    parts = [f"{manager_id} ({count:,} {people_of(count)})" for manager_id, count in sorted(people.items())]
    return f"credential managers still have phones or credentials of deleted people: {', '.join(parts)}"


def people_of(count: int) -> str:
    """Return the noun for a number of people."""
    return "person" if count == 1 else "people"


def words_of(why: Why | None) -> str:
    """Return why something waits, without anything of the single case."""
    return "nobody can tell why" if why is None else _WHY[why]


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
