"""The records of a workspace's file, one a line, each a thing of the workspace with what only it has.

A record has the attributes of the thing's item.  It leaves out what other records say, too: an import derives entries,
links, and what lists of other things an item has.  So no record can contradict another one.

A file may come from anybody, so each record is validated as strictly as a request is.  Nothing in it is a secret: an
import needs neither tokens nor what a phone's SDK needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json

from enrollment.managers.protocol import State
from enrollment.managers.simulated import Behaviour
from enrollment.resources.fields import (
    LONGEST_TEXT,
    MOST_IDS,
    InstallationId,
    NullableEmailAddress,
    NullableKey,
    NullablePhoneNumber,
    NullableText,
    Text,
    Uuid,
)
from enrollment.resources.zod import zod_message
from enrollment.store.attributes import Item, elements
from enrollment.timestamps import timestamp
from enrollment.use_cases.workspaces import require_name
from enrollments.directory.rows import Problem, SystemType, known_time_zone

FORMAT: Literal[1] = 1
# DynamoDB's numbers have 38 digits.  None here is as great as a moment in milliseconds.
_GREATEST_NUMBER = 10**13
# A line can have a hundred thousand unknown names, each as long as the line.
_MOST_PROBLEMS, _LONGEST_NAME = 20, 100
# An app tells up to three texts of 1,000 characters, and a character that is no letter of ASCII is up to 12 in JSON.
_LONGEST_JSON = 50_000
# Things of one phone or credential.  A transaction takes far fewer, see ``importing``.
_MOST_PARTS = 1000


def _moment(value: str) -> str:
    try:
        is_as_stored = timestamp(datetime.fromisoformat(value)) == value
    except (ValueError, OverflowError):
        is_as_stored = False
    if not is_as_stored:
        raise PydanticCustomError("moment", "Invalid datetime: write it as 2026-01-31T12:00:00.000Z")
    return value


def _name(value: str) -> str:
    try:
        require_name(value)
    except ValueError as error:
        raise PydanticCustomError("name", "Invalid name: {reason}", {"reason": str(error)}) from error
    return value


def _json_object(value: str) -> str:
    try:
        is_object = isinstance(from_json(value, allow_inf_nan=False), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise PydanticCustomError("json", "Invalid JSON: expected an object, written as a string")
    return value


def _one_of(values: type[StrEnum]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in set(values):
            raise PydanticCustomError("enum", "Invalid enum value")
        return value

    return check


_Moment = Annotated[StrictStr, Field(max_length=30), AfterValidator(_moment)]
_JsonObject = Annotated[StrictStr, Field(max_length=_LONGEST_JSON), AfterValidator(_json_object)]
_Number = Annotated[int, Field(ge=0, le=_GREATEST_NUMBER)]
_Ids = Annotated[list[Uuid], Field(min_length=1, max_length=MOST_IDS)]
# An app can say that it does not know what its phone is: with an empty text.
_DeviceText = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] | None
_ImageText = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]
_State = Annotated[StrictStr, AfterValidator(_one_of(State))]
_Behaviour = Annotated[StrictStr, AfterValidator(_one_of(Behaviour))]


class Record(BaseModel):
    """A thing of a workspace, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    @classmethod
    def of_item(cls, item: Item, **more: Any) -> Self:
        """Return the record of an item.

        Args:
            item: The item.
            more: What the item does not have itself.

        Raises:
            ValidationError: The item has what no import would take.
        """
        names = cls.model_fields.keys() & item.keys() - more.keys()
        given = {name: _as_json(item[name]) for name in names}
        return cls.model_validate({**given, **more})

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the item.  Parts that have items of their own are left out."""
        return {
            name: frozenset(value) if isinstance(value, list) else value
            for name in type(self).model_fields
            if (value := getattr(self, name)) not in (None, []) and not _has_parts(value)
        }


def _as_json(value: object) -> Any:
    return elements(value) if isinstance(value, frozenset) else value


def _has_parts(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, Record) for one in value)


class System(Record):
    """An ACS system."""

    acs_system_id: Uuid
    name: Text
    is_credential_manager: StrictBool
    connected_account_id: Uuid
    time_zone: Annotated[NullableText, AfterValidator(known_time_zone)] = None
    external_type: SystemType | None = None
    external_type_display_name: NullableText = None
    image_url: _ImageText | None = None
    image_alt_text: _ImageText | None = None
    default_credential_manager_acs_system_id: Uuid | None = None
    compatible_credential_manager_acs_system_ids: _Ids | None = None
    customer_key: NullableText = None
    created_at: _Moment


class Pool(Record):
    """A credential pool."""

    acs_credential_pool_id: Uuid
    acs_system_id: Uuid
    display_name: Text
    pool: NullableText = None
    external_type: Literal["hid_part_number"] | None = None
    external_type_display_name: NullableText = None
    created_at: _Moment


class UserIdentity(Record):
    """A user identity."""

    user_identity_id: Uuid
    created_at: _Moment
    user_identity_key: NullableKey = None
    email_address: NullableEmailAddress = None
    phone_number: NullablePhoneNumber = None
    full_name: NullableText = None


class AcsUser(Record):
    """An ACS user, with its link to a user identity."""

    acs_user_id: Uuid
    acs_system_id: Uuid
    user_identity_id: Uuid | None = None
    created_at: _Moment
    full_name: NullableText = None
    email_address: NullableEmailAddress = None
    phone_number: NullablePhoneNumber = None
    access_starts_at: _Moment | None = None
    access_ends_at: _Moment | None = None


class _Validity(Record):
    version: _Number
    starts_at: _Moment
    ends_at: _Moment | None = None


class Credential(_Validity):
    """A credential that stands for a person's access."""

    acs_credential_id: Uuid
    user_identity_id: Uuid
    acs_user_id: Uuid
    acs_system_id: Uuid
    credential_manager_acs_system_id: Uuid
    created_at: _Moment
    options: _JsonObject | None = None
    issued_at: _Moment | None = None
    synced_version: _Number | None = None
    synced_at: _Moment | None = None


class _AtManager(Record):
    """What is known of a thing at a credential manager."""

    created_at: _Moment
    state: _State | None = None
    state_since: _Moment | None = None
    reason: NullableText = None
    message: Annotated[StrictStr, Field(max_length=_LONGEST_JSON)] | None = None
    profile_digest: NullableText = None
    asked_at: _Moment | None = None
    next_at: _Moment | None = None
    nudged_at: _Moment | None = None


class CredentialOfPhone(_AtManager, _Validity):
    """A credential of one phone: a part of a registration."""

    acs_credential_id: Uuid
    acs_user_id: Uuid
    acs_system_id: Uuid
    parent_acs_credential_id: Uuid | None = None
    acs_credential_pool_id: Uuid | None = None
    manager_credential_id: Annotated[StrictStr, Field(max_length=_LONGEST_JSON)] | None = None
    card_number: Annotated[StrictStr, Field(max_length=_LONGEST_JSON)] | None = None
    issued_at: _Moment | None = None
    synced_version: _Number | None = None
    synced_at: _Moment | None = None
    answered_version: _Number | None = None
    manager_starts_at: _Moment | None = None
    manager_ends_at: _Moment | None = None
    being_deleted_at: _Moment | None = None
    is_withdrawn: StrictBool | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.parent_acs_credential_id is None) == (self.acs_credential_pool_id is None):
            raise PydanticCustomError("source", "Specify one of parent_acs_credential_id and acs_credential_pool_id")
        return self

    @property
    def is_failed(self) -> bool:
        """Whether its registration names it as one that failed, or was invalidated."""
        return self.state in {State.FAILED, State.GONE} and self.being_deleted_at is None


class Registration(_AtManager):
    """A phone's registration with a credential manager: a part of a phone."""

    credential_manager_acs_system_id: Uuid
    phone_registration_id: Uuid
    attempt: _Number
    phone: _JsonObject
    endpoint_id: Annotated[StrictStr, Field(max_length=_LONGEST_JSON)] | None = None
    memo: _JsonObject | None = None
    waits: _Number | None = None
    retry_at: _Moment | None = None
    unanswered_since: _Moment | None = None
    unanswered_because: NullableText = None
    removals: _Number | None = None
    withdrawn_sources: _Ids | None = None
    registered_for: Uuid | None = None
    deregistered_at: _Moment | None = None
    credentials: Annotated[list[CredentialOfPhone], Field(max_length=_MOST_PARTS)] = []


class _Registered(Record):
    device_id: Uuid
    user_identity_id: Uuid
    registrations: Annotated[list[Registration], Field(max_length=_MOST_PARTS)] = []

    @model_validator(mode="after")
    def _has_each_once(self) -> Self:
        managers = [one.credential_manager_acs_system_id for one in self.registrations]
        credentials = [child.acs_credential_id for one in self.registrations for child in one.credentials]
        if len(set(managers)) < len(managers) or len(set(credentials)) < len(credentials):
            raise PydanticCustomError("twice", "Has a credential manager or a credential twice")
        return self


class Phone(_Registered):
    """A phone, with its registrations."""

    created_at: _Moment
    device_type: Literal["android_phone", "ios_phone"]
    device_manufacturer: _DeviceText = None
    device_model: _DeviceText = None
    os_version: _DeviceText = None
    assa_abloy_metadata: _JsonObject | None = None
    custom_sdk_installation_id: InstallationId | None = None


class DeactivatedPhone(_Registered):
    """A phone that was deactivated, with its registrations: its credential managers have not let go of it yet."""

    registrations: Annotated[list[Registration], Field(min_length=1, max_length=_MOST_PARTS)]


class Automation(Record):
    """An enrollment automation, with the parameters of its launch."""

    enrollment_automation_id: Uuid
    acs_credential_provisioning_automation_id: Uuid | None = None
    user_identity_id: Uuid
    credential_manager_acs_system_id: Uuid
    is_running: StrictBool
    created_at: _Moment
    requested_create_credential_manager_user: StrictBool | None = None
    requested_acs_credential_pool_id: Uuid | None = None
    requested_credential_manager_acs_user_id: Uuid | None = None


class _Simulated(Record):
    acs_system_id: Uuid
    phone_registration_id: Uuid
    removed_at: _Moment | None = None
    deleted_after: _Number | None = None

    def _require(self, *names: str) -> None:
        """Require attributes, unless it was removed before it was ever there."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing and (self.removed_at is None or len(missing) < len(names)):
            raise PydanticCustomError("incomplete", "Specify {name}, or removed_at alone", {"name": missing[0]})


class SimulatedPhone(_Simulated):
    """What a simulated credential manager knows of a phone."""

    behaviour: _Behaviour | None = None
    has_failed: StrictBool | None = None
    attempt: _Number | None = None
    registered_at: _Moment | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._require("behaviour", "has_failed", "attempt", "registered_at")
        return self


class SimulatedCredential(_Simulated):
    """What a simulated credential manager knows of a credential."""

    acs_credential_id: Uuid
    version: _Number | None = None
    starts_at: _Moment | None = None
    ends_at: _Moment | None = None
    issued_at: _Moment | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._require("version", "starts_at", "issued_at")
        return self


class Head(Record):
    """The first line: the workspace."""

    format: Literal[1]
    workspace_id: Uuid
    name: Annotated[StrictStr, AfterValidator(_name)]
    is_sandbox: StrictBool
    created_at: _Moment
    exported_at: _Moment


class End(Record):
    """The last line.  A file without it was cut off."""

    counts: dict[Annotated[StrictStr, Field(max_length=50)], _Number]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of records.

    Attributes:
        name: The value of a line's property ``type``.
        number: Its place among all kinds.
        model: Validates the other properties.
    """

    name: str
    number: int
    model: type[Record]


# In the order in which they are in a file: each after those that it refers to.  A phone with what its managers have is
# there before an automation, which would have it registered.
_MODELS: Mapping[str, type[Record]] = {
    "acs_system": System,
    "acs_credential_pool": Pool,
    "user_identity": UserIdentity,
    "acs_user": AcsUser,
    "acs_credential": Credential,
    "simulated_phone": SimulatedPhone,
    "simulated_credential": SimulatedCredential,
    "phone": Phone,
    "deactivated_phone": DeactivatedPhone,
    "enrollment_automation": Automation,
}
KINDS: Mapping[str, Kind] = {name: Kind(name, number, model) for number, (name, model) in enumerate(_MODELS.items())}
KIND_OF: Mapping[type[Record], Kind] = {kind.model: kind for kind in KINDS.values()}


def problems_of(invalid: ValidationError) -> Sequence[Problem]:
    """Return what is wrong with a record, as it is told to an operator."""
    return [_problem(error) for error in invalid.errors()[:_MOST_PROBLEMS]]


def _problem(error: Any) -> Problem:
    name = ".".join(map(str, error["loc"]))[:_LONGEST_NAME]
    reason = "Unknown property" if error["type"] == "extra_forbidden" else zod_message(error)
    return name or None, reason
