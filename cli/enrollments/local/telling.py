"""What the local run tells of provisioning: a sentence for each thing that changes at a credential manager."""

from collections.abc import Mapping
from typing import Any

_OF_PHONES = {
    "pending": "The credential manager prepares phone {phone}.",
    "invited": "The credential manager invites phone {phone}. A simulated phone accepts by itself.",
    "active": "Phone {phone} is active at the credential manager.",
    "removing": "The credential manager removes phone {phone}.",
    "gone": "The credential manager no longer has phone {phone}.",
    "failed": "The credential manager refuses phone {phone}: {reason}.",
}
_OF_CREDENTIALS = {
    "pending": "The credential manager prepares credential {credential} for phone {phone}.",
    "active": "Phone {phone} has credential {credential}.",
    "removing": "The credential manager takes credential {credential} from phone {phone}.",
    "gone": "Phone {phone} no longer has credential {credential}.",
    "failed": "The credential manager refuses credential {credential} for phone {phone}: {reason}.",
}
_OF_FAILURES = {
    "no_answer": "The credential manager does not answer about phone {phone}. It is asked again later.",
    "busy": "The credential manager takes no requests for a while.",
    "no_access": "The credential manager does not let this service in.",
}


def sentence_of(entry: Mapping[str, Any]) -> str | None:
    """Return what a line of the function ``provisioning`` says, in plain words; ``None`` if it says nothing new.

    Args:
        entry: The line.
    """
    if entry.get("service") != "provisioning":
        return None
    if entry.get("message") == "manager.check":
        return _sentence_of_check(entry)
    if "device_id" not in entry:
        return None
    if "failure" in entry:
        sentence = _OF_FAILURES[entry["failure"]]
    elif not entry.get("is_new"):
        return None
    else:
        sentence = (_OF_CREDENTIALS if "acs_credential_id" in entry else _OF_PHONES)[entry["state"]]
    reason = str(entry.get("reason", "")).replace("_", " ")
    return sentence.format(
        phone=_short(entry["device_id"]), credential=_short(entry.get("acs_credential_id", "")), reason=reason
    )


def _sentence_of_check(entry: Mapping[str, Any]) -> str | None:
    manager = _short(entry["credential_manager_acs_system_id"])
    if "failure" in entry:
        because = str(entry["because"]).replace("_", " ")
        return (
            f"The connector of credential manager {manager} gives no usable answer: {because}. It is asked again later."
        )
    return f"The connector of credential manager {manager} answers." if entry["is_new"] else None


def _short(identifier: str) -> str:
    """Return the beginning of an id, as it is in the lines about events."""
    return identifier.partition("-")[0]
