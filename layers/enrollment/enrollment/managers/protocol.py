"""The protocol of a credential manager (contract, "Credential managers").

A request has a type, an id and data.  The id is the same whenever the request is repeated.  The answer is JSON.  If
there is no usable answer, the manager raises one of these::

    NoUsableAnswerError      repeated with growing waits
    ├── BusyError            429 and 503: pauses the whole manager
    └── NoAccessError        401 and 403: pauses it, and its system shows that

The models ignore unknown fields, so that both sides can be extended.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StrictBool, ValidationError

# The most that a memo may have, as JSON in UTF-8.
_MOST_MEMO_BYTES = 2048
_LONGEST_TEXT = 1000
_LONGEST_NAME_OF_POOL = 200
_MOST_POOLS = 1000
NOT_THE_PROTOCOL = "not_the_protocol"
_GREATEST_VERSION = 10**12  # DynamoDB's numbers have 38 digits


class RequestType(StrEnum):
    """What a manager is asked for."""

    PHONE_REGISTER = "phone.register"
    PHONE_STATUS = "phone.status"
    PHONE_DEREGISTER = "phone.deregister"
    CREDENTIAL_ISSUE = "credential.issue"
    CREDENTIAL_REVOKE = "credential.revoke"
    MANAGER_CHECK = "manager.check"


class State(StrEnum):
    """How a phone or a credential stands at a manager."""

    PENDING = "pending"
    INVITED = "invited"  # phones only: it is the person's turn
    ACTIVE = "active"
    REMOVING = "removing"
    GONE = "gone"
    FAILED = "failed"


class Reason(StrEnum):
    """Why something failed.  A manager may answer others, too; those are treated like ``REJECTED``."""

    POOL_EXHAUSTED = "pool_exhausted"
    INVITATION_EXPIRED = "invitation_expired"
    EMAIL_REQUIRED = "email_required"
    PHONE_NUMBER_REQUIRED = "phone_number_required"
    PERSON_CONFLICT = "person_conflict"
    PHONE_UNSUPPORTED = "phone_unsupported"
    PHONE_LIMIT_REACHED = "phone_limit_reached"
    CREDENTIAL_LIMIT_REACHED = "credential_limit_reached"
    SUSPENDED_AT_MANAGER = "suspended_at_manager"
    REJECTED = "rejected"


class NoUsableAnswerError(Exception):
    """The manager did not answer, or what it answered cannot be used.

    Args:
        because: Why, in a word for the operator: ``timeout``, ``tls``, ``status_500``, ``not_the_protocol``, …
    """

    def __init__(self, because: str = "no_answer") -> None:
        super().__init__(f"no usable answer of the credential manager: {because}")
        self.because = because


class BusyError(NoUsableAnswerError):
    """The manager takes no requests for a while.

    Args:
        retry_after: For how many seconds, if the manager said so.
    """

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


class NoAccessError(NoUsableAnswerError):
    """The manager does not let this service in."""

    def __init__(self) -> None:
        super().__init__("no_access")


class Request(NamedTuple):
    """A request to a manager.

    Attributes:
        id: Its id, which all repetitions share.
        type: What is asked for.
        data: The rest, which is JSON.
    """

    id: str
    type: RequestType
    data: Mapping[str, Any]


class CredentialManager(Protocol):
    """A credential manager."""

    def ask(self, request: Request) -> Mapping[str, Any]:
        """Return the manager's answer.

        Args:
            request: The request.

        Raises:
            NoUsableAnswerError: There is none.
            ServiceUnavailable: The database stays out of reach.
        """


def _text(text: Any) -> Any:
    if isinstance(text, str):
        text.encode()  # half of a surrogate pair is no text; the error is a ValueError
    return text


def _short(text: Any) -> Any:
    return _text(text)[:_LONGEST_TEXT] if isinstance(text, str) else text


def _shallow(value: Any) -> Any:
    """Refuse what cannot be written as JSON again, because it is nested too deeply."""
    _bytes_of(value)
    return value


def _small(memo: Any) -> Any:
    if memo is not None and _bytes_of(memo) > _MOST_MEMO_BYTES:
        raise ValueError("a memo has 2 kB at most")
    return memo


def _bytes_of(value: Any) -> int:
    try:
        return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


_Text = Annotated[str, BeforeValidator(_short)]
_App = Annotated[dict[str, Any] | None, BeforeValidator(_shallow)]
_Memo = Annotated[dict[str, Any] | None, BeforeValidator(_small)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CredentialAnswer(BaseModel):
    """What a manager answers about a credential.

    Attributes:
        acs_credential_id: The id that was asked about.
        version: The version that the manager has.
        state: How it stands.
        reason: Why it failed.  A reason that is not known counts as a refusal.
        message: The same for people.
        manager_credential_id: The manager's id of it.
        card_number: Its number.
        starts_at: When it becomes valid at the manager, with a time zone.
        ends_at: When it ends at the manager, with a time zone.
        memo: What the manager is to be told again with each request for that phone, 2 kB at most as JSON.
        check_after_s: After how many seconds to ask again, while it is pending or removing.
    """

    acs_credential_id: str
    version: Annotated[int, Field(ge=0, le=_GREATEST_VERSION)] | None = None
    state: State
    reason: _Text | None = None
    message: _Text | None = None
    manager_credential_id: _Text | None = None
    card_number: _Text | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    memo: _Memo = None
    check_after_s: _Seconds | None = None


class PhoneAnswer(BaseModel):
    """What a manager answers about a phone.

    Attributes:
        state: How it stands.
        reason: Why it failed.  A reason that is not known counts as a refusal.
        message: The same for people.
        endpoint_id: The manager's id of it.
        app: What the SDK on the phone needs, 32 kB at most as JSON.  It is secret.
        app_expires_at: When that ends, with a time zone.
        memo: What the manager is to be told again with each request for that phone, 2 kB at most as JSON.
        check_after_s: After how many seconds to ask again, while it is pending, invited or removing.
        credentials: Its credentials, each that was asked about, in the answer to phone.status.
    """

    state: State
    reason: _Text | None = None
    message: _Text | None = None
    endpoint_id: _Text | None = None
    app: _App = None
    app_expires_at: AwareDatetime | None = None
    memo: _Memo = None
    check_after_s: _Seconds | None = None
    credentials: Sequence[CredentialAnswer] = ()


class Pool(BaseModel):
    """A pool of a manager.

    Attributes:
        pool: The manager's name of it.
        available: How many credentials are left, if the manager says so.
    """

    pool: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME_OF_POOL), BeforeValidator(_text)]
    available: Annotated[int, Field(ge=0, le=_GREATEST_VERSION)] | None = None


class ManagerAnswer(BaseModel):
    """What a manager answers about itself.

    Attributes:
        keeps_validity: Whether it issues credentials now that become valid later, and ends them itself.
        one_step: Whether registering a phone issues its credential, too.
        pools: The pools that its credentials come from.
    """

    keeps_validity: StrictBool = False
    one_step: StrictBool = False
    pools: Annotated[Sequence[Pool], Field(max_length=_MOST_POOLS)] = ()


def ask_about_manager(manager: CredentialManager, request: Request) -> ManagerAnswer:
    """Return a manager's answer about itself.

    Raises:
        NoUsableAnswerError: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    try:
        return ManagerAnswer.model_validate(manager.ask(request))
    except ValidationError as error:
        raise NoUsableAnswerError(NOT_THE_PROTOCOL) from error


def ask_about_phone(manager: CredentialManager, request: Request) -> PhoneAnswer:
    """Return a manager's answer about a phone.

    Raises:
        NoUsableAnswerError: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    try:
        answer = PhoneAnswer.model_validate(manager.ask(request))
    except ValidationError as error:  # its text could quote what is secret
        raise NoUsableAnswerError(NOT_THE_PROTOCOL) from error
    if any(credential.state is State.INVITED for credential in answer.credentials):
        raise NoUsableAnswerError(NOT_THE_PROTOCOL)
    return answer


def ask_about_credential(manager: CredentialManager, request: Request) -> CredentialAnswer:
    """Return a manager's answer about a credential.

    Raises:
        NoUsableAnswerError: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    try:
        answer = CredentialAnswer.model_validate(manager.ask(request))
    except ValidationError as error:
        raise NoUsableAnswerError(NOT_THE_PROTOCOL) from error
    if answer.acs_credential_id != request.data["acs_credential_id"] or answer.state is State.INVITED:
        raise NoUsableAnswerError(NOT_THE_PROTOCOL)
    return answer
