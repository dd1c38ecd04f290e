"""The errors that a request can be answered with.

::

    EnrollmentError
    ├── Unauthorized                              401
    ├── RouteNotFound                             404
    ├── InvalidContentType                        400
    ├── InvalidJson                               400
    ├── InvalidInput                              400
    ├── UserIdentityNotFound                      404
    ├── AcsSystemNotFound                         404
    ├── AcsCredentialPoolNotFound                 404
    ├── AcsUserNotFound                           404
    ├── AcsAccessGroupNotFound                    404
    ├── EnrollmentAutomationNotFound              404
    ├── PhoneNotFound                             404
    ├── AcsCredentialNotFound                     404
    ├── EventNotFound                             404
    ├── WebhookNotFound                           404
    ├── ClientSessionNotFound                     404
    ├── ConnectedAccountNotFound                  404
    ├── ConnectWebviewNotFound                    404
    ├── TooManyWebhooks                           409
    ├── TooManyAcsCredentials                     409
    ├── AcsSystemIsNotCredentialManager           400
    ├── AcsCredentialPoolNotInAcsSystem           400
    ├── AcsUserNotInAcsSystem                     400
    ├── AcsUserHasNoUserIdentity                  400
    ├── CredentialManagerNotCompatible            400
    ├── NoCredentialManager                       400
    ├── WorkspaceIsNotSandbox                     400
    ├── ClientSessionIsNotOfOnePerson             400
    ├── AcsUserAlreadyLinked                      409
    ├── UserIdentityAlreadyExists                 409
    ├── EnrollmentAutomationAlreadyExists         409
    ├── InternalServerError                       500
    └── ServiceUnavailable                        503
        └── NoAccessToDatabase                    503

Each one's status, type and message are the contract's ("Errors").  ``http.api`` turns them into JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class EnrollmentError(Exception):
    """An error that a client is answered with.

    Attributes:
        status: HTTP status code.
        type: The error's name, which SDKs expose as ``code``.
        message: The error, for people; it tells nothing internal.
        headers: Extra response headers.
    """

    status: ClassVar[int]
    type: ClassVar[str]
    message: str
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str | None = None) -> None:
        if message is not None:
            self.message = message
        super().__init__(self.message)

    def details(self) -> dict[str, Any]:
        """Return what the error's JSON holds beside type and message."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return the contract's error shape."""
        return {"error": {"type": self.type, "message": self.message, **self.details()}, "ok": False}


class Unauthorized(EnrollmentError):
    """The token is not valid, or not for this route."""

    status = 401
    type = "unauthorized"
    message = "Unauthorized"


class RouteNotFound(EnrollmentError):
    """There is no such route, or it does not have that method."""

    status = 404
    type = "route_not_found"
    message = "Route not found"


class InvalidContentType(EnrollmentError):
    """A body comes without JSON's content type.

    Args:
        method: The request's.
    """

    status = 400
    type = "invalid_content_type"
    message = 'POST requests must have Content-Type header with "application/json"'

    def __init__(self, method: str = "POST") -> None:
        super().__init__(self.message.replace("POST", method))


class InvalidJson(EnrollmentError):
    """The body is not JSON."""

    status = 400
    type = "invalid_json"
    message = "The request body is not valid JSON"


class InvalidInput(EnrollmentError):
    """Parameters are not valid.

    Args:
        problems: Pairs of a path and a message, which is worded as zod words it.  A path is a parameter's name,
            followed by the place inside of the parameter: ``user_identity_ids.1``.  The path ``None`` stands for a
            rule over several parameters.
    """

    status = 400
    type = "invalid_input"

    def __init__(self, problems: Sequence[tuple[str | None, str]]) -> None:
        self.problems = tuple(problems)
        summaries = [_summary(path, message) for path, message in self.problems]
        if len(summaries) == 1:
            super().__init__(summaries[0])
        else:
            super().__init__(f"{len(summaries)} Input Errors: {', '.join(summaries)}")

    def details(self) -> dict[str, Any]:
        """Return ``validation_errors``, by the parameters' names: so SDKs look them up."""
        by_field: dict[str, Any] = {"_errors": []}
        for path, message in self.problems:
            if path is None:
                by_field["_errors"].append(message)
            else:
                field = path.partition(".")[0]
                by_field.setdefault(field, {"_errors": []})["_errors"].append(message)
        return {"validation_errors": by_field}


def _summary(path: str | None, message: str) -> str:
    if path is None:
        return message
    return f"{path} is required" if message == "Required" else f'{message} for "{path}"'


class UserIdentityNotFound(EnrollmentError):
    """No such user identity in the workspace."""

    status = 404
    type = "user_identity_not_found"
    message = "User identity not found"


class AcsSystemNotFound(EnrollmentError):
    """No such access control system in the workspace."""

    status = 404
    type = "acs_system_not_found"
    message = "Access control system not found"


class AcsCredentialPoolNotFound(EnrollmentError):
    """No such credential pool in the workspace."""

    status = 404
    type = "acs_credential_pool_not_found"
    message = "Access control system credential pool not found"


class AcsUserNotFound(EnrollmentError):
    """No such ACS user in the workspace."""

    status = 404
    type = "acs_user_not_found"
    message = "Access control system user not found"


class AcsAccessGroupNotFound(EnrollmentError):
    """No such access group: this service has none."""

    status = 404
    type = "acs_access_group_not_found"
    message = "Access control system access group not found"


class EnrollmentAutomationNotFound(EnrollmentError):
    """No such enrollment automation in the workspace, or none that the caller sees."""

    status = 404
    type = "enrollment_automation_not_found"
    message = "Enrollment automation not found"


class PhoneNotFound(EnrollmentError):
    """No such phone in the workspace, or none that the caller sees."""

    status = 404
    type = "phone_not_found"
    message = "Phone not found"


class AcsCredentialNotFound(EnrollmentError):
    """No such credential in the workspace."""

    status = 404
    type = "acs_credential_not_found"
    message = "Access control system credential not found"


class EventNotFound(EnrollmentError):
    """No such event in the workspace, none that the caller sees, or none any more."""

    status = 404
    type = "event_not_found"
    message = "Event not found"


class WebhookNotFound(EnrollmentError):
    """No such webhook in the workspace."""

    status = 404
    type = "webhook_not_found"
    message = "Webhook not found"


class ClientSessionNotFound(EnrollmentError):
    """No such client session in the workspace, none that the caller sees, or a revoked one."""

    status = 404
    type = "client_session_not_found"
    message = "Client session not found"


class ConnectedAccountNotFound(EnrollmentError):
    """No such connected account: this service has none that could be given to a client session."""

    status = 404
    type = "connected_account_not_found"
    message = "Connected account not found: client sessions of this service have no connected accounts"


class ConnectWebviewNotFound(EnrollmentError):
    """No such Connect Webview: this service has none."""

    status = 404
    type = "connect_webview_not_found"
    message = "Connect Webview not found: this service has no Connect Webviews"


class TooManyWebhooks(EnrollmentError):
    """The workspace has as many webhooks as it may have."""

    status = 409
    type = "too_many_webhooks"
    message = "This workspace has as many webhooks as it may have: 50"


class TooManyAcsCredentials(EnrollmentError):
    """The ACS user has as many credentials as it may have."""

    status = 409
    type = "too_many_acs_credentials"
    message = "This access control system user has as many credentials as it may have: 1,000"


class AcsSystemIsNotCredentialManager(EnrollmentError):
    """The system cannot issue mobile credentials."""

    status = 400
    type = "acs_system_is_not_credential_manager"
    message = "Access control system is not a credential manager"


class AcsCredentialPoolNotInAcsSystem(EnrollmentError):
    """The pool is another system's."""

    status = 400
    type = "acs_credential_pool_not_in_acs_system"
    message = "Access control system credential pool does not belong to the credential manager"


class AcsUserNotInAcsSystem(EnrollmentError):
    """The ACS user is another system's."""

    status = 400
    type = "acs_user_not_in_acs_system"
    message = "Access control system user does not belong to the credential manager"


class AcsUserHasNoUserIdentity(EnrollmentError):
    """The ACS user is not linked to a user identity, so no phone can get its credentials."""

    status = 400
    type = "acs_user_has_no_user_identity"
    message = "The access control system user is not linked to a user identity, so it can have no mobile key"


class CredentialManagerNotCompatible(EnrollmentError):
    """The credential manager cannot issue credentials for the system."""

    status = 400
    type = "credential_manager_not_compatible"
    message = "The credential manager cannot issue credentials for the access control system"


class NoCredentialManager(EnrollmentError):
    """No credential manager is named, and nothing speaks for one."""

    status = 400
    type = "no_credential_manager"
    message = (
        "Specify credential_manager_acs_system_id: the access control system has no default credential manager, "
        "and the user identity has no enrollment automation with a compatible one"
    )


class WorkspaceIsNotSandbox(EnrollmentError):
    """Phones are simulated in sandbox workspaces only."""

    status = 400
    type = "workspace_is_not_sandbox"
    message = "Phones can be simulated in sandbox workspaces only"


class ClientSessionIsNotOfOnePerson(EnrollmentError):
    """A phone belongs to one person, so a session of none or of several cannot register it."""

    status = 400
    type = "client_session_is_not_of_one_person"
    message = "To register a phone, use a client session that has exactly one user identity"


class AcsUserAlreadyLinked(EnrollmentError):
    """An ACS user would be linked to two user identities, or an identity to two ACS users of one system."""

    status = 409
    type = "acs_user_already_linked"
    message = (
        "The access control system user is linked to another user identity, "
        "or the user identity has another user in that access control system"
    )


class UserIdentityAlreadyExists(EnrollmentError):
    """Another user identity of the workspace has that key, email address or phone number.

    Args:
        attribute: Which of them.
        user_identity_id: The user identity that has it.
    """

    status = 409
    type = "user_identity_already_exists"
    message = "Another user identity has that value"

    def __init__(self, attribute: str, user_identity_id: str) -> None:
        super().__init__(f"A user identity with that {attribute} already exists")
        self.user_identity_id = user_identity_id

    def details(self) -> dict[str, Any]:
        """Return ``data``, which names the user identity."""
        return {"data": {"user_identity_id": self.user_identity_id}}


class EnrollmentAutomationAlreadyExists(EnrollmentError):
    """The pair was launched before, with other parameters.

    Args:
        enrollment_automation_id: The automation that stands in the way.
    """

    status = 409
    type = "enrollment_automation_already_exists"
    message = (
        "An enrollment automation with other parameters already exists for this user identity and credential manager"
    )

    def __init__(self, enrollment_automation_id: str) -> None:
        super().__init__()
        self.enrollment_automation_id = enrollment_automation_id

    def details(self) -> dict[str, Any]:
        """Return ``data``, which names the automation."""
        return {"data": {"enrollment_automation_id": self.enrollment_automation_id}}


class InternalServerError(EnrollmentError):
    """A defect of this service."""

    status = 500
    type = "internal_server_error"
    message = "Internal server error"


class ServiceUnavailable(EnrollmentError):
    """The database is out of reach or throttles after the retries, or the invocation's time is over."""

    status = 503
    type = "service_unavailable"
    message = "The service is temporarily unavailable; try again"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class NoAccessToDatabase(ServiceUnavailable):
    """DynamoDB refuses this function: its credentials, its role, the table's key or the table's name is wrong.

    A client gets the same answer as in an outage.  It may last until an operator has corrected the mistake.
    """
