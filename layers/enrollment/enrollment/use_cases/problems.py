"""What is wrong with phones and credentials at credential managers, and how it is said to clients.

A credential manager says why it has not registered a phone or issued a credential (contract, "Credential managers").
Its reason is the error's code.  Its message, if it gives one, is the error's message.
"""

from datetime import datetime, timedelta

from enrollment.resources.acs_credentials import AcsCredentialWarning
from enrollment.resources.bodies import ResourceError
from enrollment.store.attributes import Item
from enrollment.timestamps import timestamp

_REJECTED = "rejected"

# By the reasons of the contract's table.
_REASONS = {
    "pool_exhausted": "The credential pool has no credential left. The credential manager is asked again every hour.",
    "invitation_expired": "The invitation expired before the phone accepted it. Opening the app gets another.",
    "email_required": "The credential manager needs an email address of the person. Add one to the user identity.",
    "phone_number_required": "The credential manager needs a phone number of the person. Add one to the user identity.",
    "person_conflict": "The credential manager has another person with these data. Change those of the user identity.",
    "phone_unsupported": "The credential manager does not support this phone.",
    "phone_limit_reached": "The person has as many phones as the credential manager allows.",
    "credential_limit_reached": "The credential manager has issued as many credentials as it may.",
    "suspended_at_manager": "The credential manager has suspended the person or the phone.",
    _REJECTED: "The credential manager has refused the request.",
}

_UNREACHABLE = "credential_manager_unreachable"
_UNREACHABLE_AFTER = timedelta(days=1)

# Ours, where the credential manager gives no reason.
_MESSAGES = {
    **_REASONS,
    "removed_by_credential_manager": "The credential manager has removed the phone, although nobody asked for it.",
    _UNREACHABLE: "The credential manager has not answered for a day. It is asked again until it does.",
    "invalidated": "The credential manager has invalidated the credential. It is not issued again by itself.",
    "waiting_to_be_issued": "The credential is not issued yet.",
    "being_deleted": "The credential is deleted once the credential manager has revoked it.",
    "schedule_externally_modified": "The credential's validity at the credential manager is not the one shown here.",
}


def message_of_reason(reason: str) -> str:
    """Return why a credential manager has not done something, in words of ours.

    Args:
        reason: Its reason; one that is not in the contract's table counts as a refusal.
    """
    return _REASONS.get(reason, _REASONS[_REJECTED])


def errors_of_registration(registration: Item, now: datetime) -> list[ResourceError]:
    """Return what is wrong with a phone's registration with a credential manager.

    Args:
        registration: Its item.
        now: The present moment.
    """
    errors = _errors_of_state(registration, if_gone="removed_by_credential_manager")
    if "unanswered_since" in registration:
        reported_at = datetime.fromisoformat(str(registration["unanswered_since"])) + _UNREACHABLE_AFTER
        if reported_at <= now:
            errors.append(_error(_UNREACHABLE, timestamp(reported_at)))
    return errors


def errors_of_credential(credential: Item) -> list[ResourceError]:
    """Return what is wrong with a credential of one phone; one that waits to be revoked has no errors any more."""
    if "being_deleted_at" in credential:
        return []
    return _errors_of_state(credential, if_gone="invalidated")


def warnings_of_credential(credential: Item, *, is_issued: bool, is_synced: bool) -> list[AcsCredentialWarning]:
    """Return the warnings about a credential.

    Args:
        credential: Its item.
        is_issued: Whether it is issued.
        is_synced: Whether the credential manager has what was asked for.
    """
    if "being_deleted_at" in credential:
        return [_warning("being_deleted", credential["being_deleted_at"])]
    if not is_issued:
        # What a credential manager has invalidated waits for nothing: it is not issued again by itself.
        is_waiting = credential.get("state") != "gone"
        return [_warning("waiting_to_be_issued", credential["created_at"])] if is_waiting else []
    if is_synced and _is_rescheduled(credential):
        return [_warning("schedule_externally_modified", credential["synced_at"])]
    return []


def _errors_of_state(item: Item, *, if_gone: str) -> list[ResourceError]:
    match item.get("state"):
        case "failed":
            code = str(item.get("reason", _REJECTED))
            message = item.get("message") or _MESSAGES.get(code, _MESSAGES[_REJECTED])
            return [_error(code, str(item["state_since"]), str(message))]
        case "gone":
            return [_error(if_gone, str(item["state_since"]))]
    return []


def _is_rescheduled(credential: Item) -> bool:
    """Return whether a credential manager has last named another validity; what it does not name is as it was asked."""
    named = {name: credential.get(f"manager_{name}") for name in ("starts_at", "ends_at")}
    return any(value is not None and value != credential.get(name) for name, value in named.items())


def _error(code: str, since: str, message: str | None = None) -> ResourceError:
    return ResourceError(error_code=code, message=message or _MESSAGES[code], created_at=since)


def _warning(code: str, since: object) -> AcsCredentialWarning:
    return AcsCredentialWarning.model_validate({"warning_code": code, "message": _MESSAGES[code], "created_at": since})
