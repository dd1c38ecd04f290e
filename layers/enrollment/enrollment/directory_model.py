"""Requests and resources of the directory: user identities, ACS systems, credential pools and ACS users.

Resources have every required property of the published schemas, and of the others those that this service knows.  What
has a default of ``None`` and is not nullable there is left out where there is nothing to say.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from enrollment.model import (
    FromQuery,
    KnownUuid,
    OptionalUuid,
    PagedRequest,
    Pagination,
    Request,
    Response,
    Uuid,
    refuse_null,
)

# ----------------------------------------------------------------------------------------------------------- Parameters

# WHATWG's "valid e-mail address": what a browser takes as one.
_EMAIL_ADDRESS = (
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+"
    r"@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_PHONE_NUMBER = r"\+[1-9][0-9]{1,14}"  # E.164
# RFC 3339; as in zod, an offset can lack its colon, which is how clients of openapi-generator write it in an address.
_MOMENT = re.compile(
    r"(?P<year>\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)

_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)

# An item of DynamoDB has 400 kB, a partition key 2 kB.
_LONGEST_KEY = 400
_LONGEST_EMAIL_ADDRESS = 254  # RFC 5321
LONGEST_TEXT = 1000
MOST_IDS = 1000
_MOST_DIGITS = 4300  # what Python reads of a number, in a body's JSON too
# Each takes six actions of the transaction of 100 that creates a user identity.
_MOST_ACS_SYSTEMS = 15


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if not compiled.fullmatch(value):
            raise PydanticCustomError("pattern", f"Invalid {what}")
        return value

    return AfterValidator(match)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Expected string")
    match = _MOMENT.fullmatch(value)
    if match is None:
        raise PydanticCustomError("datetime", "Invalid datetime")
    if match["year"] == "0000":  # RFC 3339 has it, Python has not
        return _FIRST_MOMENT
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise PydanticCustomError("datetime", "Invalid datetime") from error
    try:
        return min(moment.astimezone(UTC), _LAST_MOMENT)
    except OverflowError:
        return _FIRST_MOMENT if moment.year == 1 else _LAST_MOMENT


def _number(value: Any) -> Any:
    if isinstance(value, float):  # JSON does not tell 10 from 10.0
        if not value.is_integer():
            raise PydanticCustomError("int", "Expected integer, received float")
        return int(value)
    return value


def _number_of_query(text: str) -> Any:
    is_number = re.fullmatch(r"-?\d+", text, re.ASCII) and len(text) <= _MOST_DIGITS
    return int(text) if is_number else text


def _schema(type_: str = "string", *, nullable: bool = False, **more: JsonDict | str | int) -> WithJsonSchema:
    return WithJsonSchema({"type": [type_, "null"] if nullable else type_, **more})


Text = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_TEXT)]
_Key = Annotated[StrictStr, Field(min_length=1, max_length=_LONGEST_KEY)]
_EmailAddress = Annotated[StrictStr, Field(max_length=_LONGEST_EMAIL_ADDRESS), _matching(_EMAIL_ADDRESS, "email")]
_PhoneNumber = Annotated[StrictStr, _matching(_PHONE_NUMBER, "phone number")]
Moment = Annotated[datetime, BeforeValidator(_moment)]

_EMAIL_ADDRESS_SCHEMA: dict[str, Any] = {"pattern": f"^{_EMAIL_ADDRESS}$", "maxLength": _LONGEST_EMAIL_ADDRESS}
_PHONE_NUMBER_SCHEMA: dict[str, Any] = {"pattern": f"^{_PHONE_NUMBER.replace('\\+', '[+]')}$"}
_TEXT_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": LONGEST_TEXT}
_KEY_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": _LONGEST_KEY}

# Nullable: ``None`` is null and absent alike, which ``model_fields_set`` tells apart where it matters.
NullableText = Annotated[Text | None, _schema(nullable=True, **_TEXT_SCHEMA)]
NullableKey = Annotated[_Key | None, _schema(nullable=True, **_KEY_SCHEMA)]
NullableEmailAddress = Annotated[_EmailAddress | None, _schema(nullable=True, **_EMAIL_ADDRESS_SCHEMA)]
NullablePhoneNumber = Annotated[_PhoneNumber | None, _schema(nullable=True, **_PHONE_NUMBER_SCHEMA)]
# Optional: ``None`` is how an absent parameter reads, null is refused.
OptionalText = Annotated[Text | None, refuse_null("string"), _schema(**_TEXT_SCHEMA)]
OptionalKey = Annotated[_Key | None, refuse_null("string"), _schema(**_KEY_SCHEMA)]
OptionalEmailAddress = Annotated[_EmailAddress | None, refuse_null("string"), _schema(**_EMAIL_ADDRESS_SCHEMA)]
OptionalPhoneNumber = Annotated[_PhoneNumber | None, refuse_null("string"), _schema(**_PHONE_NUMBER_SCHEMA)]
OptionalMoment = Annotated[Moment | None, refuse_null("string"), _schema(format="date-time")]
NullableMoment = Annotated[Moment | None, _schema(nullable=True, format="date-time")]
_UUIDS_SCHEMA: dict[str, Any] = {"items": {"type": "string", "format": "uuid"}}
OptionalUuids = Annotated[
    Annotated[list[Uuid], Field(max_length=MOST_IDS)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    _schema("array", maxItems=MOST_IDS, **_UUIDS_SCHEMA),
]
Limit = Annotated[
    StrictInt,
    BeforeValidator(_number),
    Field(gt=0),
    FromQuery(read=_number_of_query),
    _schema("integer", minimum=1),
]
# A filter that looks for null when it is null; what it looks for is part of a partition key.
NullableFilter = Annotated[
    Annotated[StrictStr, Field(max_length=_LONGEST_KEY)] | None,
    _schema(nullable=True, maxLength=_LONGEST_KEY),
]


class _NeverNull:
    """Beside ``Model | None``: ``None`` is how something absent reads; neither JSON nor its schema has it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        (described,) = (one for one in handler(schema)["anyOf"] if one != {"type": "null"})
        return dict(described)


def _limit(default: int) -> Any:
    return Field(
        default=default,
        description=f"Maximum number of records per page, {default:,} by default; never more than 1,000. A page can "
        "have fewer, or none, and yet not be the last: `pagination` tells.",
    )


def _exactly_one(names: Sequence[str], given: Sequence[object]) -> None:
    if sum(value is not None for value in given) != 1:
        raise PydanticCustomError("one_of", f"Specify exactly one of {', '.join(names)}")


class CreateUserIdentityRequest(Request):
    """The body of ``/user_identities/create``."""

    user_identity_key: Annotated[NullableKey, Field(description="Unique key for the new user identity.")] = None
    email_address: Annotated[
        NullableEmailAddress, Field(description="Unique email address, compared without regard to case.")
    ] = None
    phone_number: Annotated[
        NullablePhoneNumber, Field(description="Unique phone number in E.164 format (for example, +15555550100).")
    ] = None
    full_name: Annotated[NullableText, Field(description="Full name of the person.")] = None
    acs_system_ids: Annotated[
        Annotated[list[Uuid], Field(max_length=_MOST_ACS_SYSTEMS)] | None,
        refuse_null("array"),
        _schema("array", maxItems=_MOST_ACS_SYSTEMS, **_UUIDS_SCHEMA),
        Field(
            description="IDs of access systems in which the new user identity gets an ACS user: the unlinked one with "
            "its email address or phone number if there is one, else a new one."
        ),
    ] = None


class GetUserIdentityRequest(Request):
    """The parameters of ``/user_identities/get``: exactly one of ``user_identity_id`` and ``user_identity_key``."""

    user_identity_id: Annotated[OptionalUuid, Field(description="ID of the user identity to get.")] = None
    user_identity_key: Annotated[OptionalKey, Field(description="Key of the user identity to get.")] = None

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        _exactly_one(["user_identity_id", "user_identity_key"], [self.user_identity_id, self.user_identity_key])
        return self


class ListUserIdentitiesRequest(PagedRequest):
    """The parameters of ``/user_identities/list``."""

    created_before: Annotated[
        OptionalMoment, Field(description="Only those created before this moment (RFC 3339).")
    ] = None
    credential_manager_acs_system_id: Annotated[
        OptionalUuid, Field(description="Only those enrolled with this credential manager.")
    ] = None
    user_identity_ids: Annotated[
        OptionalUuids, Field(description="Only those with these IDs; unknown ones are ignored.")
    ] = None
    search: Annotated[
        OptionalText,
        Field(
            description="Only those with this in their `full_name`, `phone_number`, `email_address` or "
            "`user_identity_id`, without regard to case."
        ),
    ] = None
    limit: Annotated[Limit, _limit(500)] = 500


class UpdateUserIdentityRequest(Request):
    """The body of ``/user_identities/update``: what is absent stays, what is ``null`` goes."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity to update.")]
    user_identity_key: Annotated[NullableKey, Field(description="Unique key; `null` takes it away.")] = None
    email_address: Annotated[
        NullableEmailAddress, Field(description="Unique email address, compared without regard to case.")
    ] = None
    phone_number: Annotated[
        NullablePhoneNumber, Field(description="Unique phone number in E.164 format; `null` takes it away.")
    ] = None
    full_name: Annotated[NullableText, Field(description="Full name of the person; `null` takes it away.")] = None


class UserIdentityRequest(Request):
    """The parameters of routes that are about one user identity."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity.")]


class AddAcsUserRequest(Request):
    """The body of ``/user_identities/add_acs_user``.

    It has exactly one of ``user_identity_id`` and ``user_identity_key``.
    """

    acs_user_id: Annotated[Uuid, Field(description="ID of the ACS user to add.")]
    user_identity_id: Annotated[OptionalUuid, Field(description="ID of the user identity to add it to.")] = None
    user_identity_key: Annotated[
        OptionalKey,
        Field(
            description="Key of the user identity to add it to; if there is none, one is created with the ACS user's "
            "name, email address and phone number."
        ),
    ] = None

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        _exactly_one(["user_identity_id", "user_identity_key"], [self.user_identity_id, self.user_identity_key])
        return self


class RemoveAcsUserRequest(Request):
    """The parameters of ``/user_identities/remove_acs_user``."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity.")]
    acs_user_id: Annotated[Uuid, Field(description="ID of the ACS user to remove from it.")]


class AcsSystemRequest(Request):
    """The parameters of routes that are about one access system."""

    acs_system_id: Annotated[Uuid, Field(description="ID of the access system.")]


class ListAcsSystemsRequest(PagedRequest):
    """The parameters of ``/acs/systems/list``."""

    connected_account_id: Annotated[OptionalUuid, Field(description="Only those of this connected account.")] = None
    customer_key: Annotated[OptionalText, Field(description="Only those of this customer.")] = None
    search: Annotated[
        OptionalText,
        Field(description="Only those with this in their `name` or `acs_system_id`, without regard to case."),
    ] = None
    limit: Annotated[Limit, _limit(1000)] = 1000


class ListAcsCredentialPoolsRequest(PagedRequest):
    """The parameters of ``/acs/credential_pools/list``."""

    acs_system_id: Annotated[Uuid, Field(description="ID of the access system.")]
    limit: Annotated[Limit, _limit(1000)] = 1000


class AccessScheduleRequest(Request):
    """When an ACS user has access."""

    starts_at: Annotated[OptionalMoment, Field(description="When access starts; now by default.")] = None
    ends_at: Annotated[
        NullableMoment, Field(description="When access ends, in the future and after `starts_at`; never by default.")
    ] = None


class CreateAcsUserRequest(Request):
    """The body of ``/acs/users/create``."""

    full_name: Annotated[StrictStr, Field(max_length=LONGEST_TEXT, description="Full name of the ACS user.")]
    acs_system_id: Annotated[Uuid, Field(description="ID of the access system to add it to.")]
    email_address: Annotated[OptionalEmailAddress, Field(description="Email address.")] = None
    email: Annotated[
        OptionalEmailAddress,
        # Not Pydantic's own `deprecated`, which warns of each read.
        Field(
            description="Older name of `email_address`.",
            json_schema_extra={"deprecated": True},
        ),
    ] = None
    phone_number: Annotated[OptionalPhoneNumber, Field(description="Phone number in E.164 format.")] = None
    user_identity_id: Annotated[OptionalUuid, Field(description="ID of the user identity to link it to.")] = None
    access_schedule: Annotated[
        AccessScheduleRequest | None,
        refuse_null("object"),
        _NeverNull(),
        Field(description="When the ACS user has access; always by default."),
    ] = None
    acs_access_group_ids: Annotated[
        OptionalUuids, Field(description="There are no access groups, so any ID is one that does not exist.")
    ] = None


class AcsUserRequest(Request):
    """The parameters of ``/acs/users/get`` and ``/acs/users/delete``.

    They are either ``acs_user_id``, or ``user_identity_id`` and ``acs_system_id``.
    """

    acs_user_id: Annotated[
        OptionalUuid, Field(description="ID of the ACS user; not together with `user_identity_id`.")
    ] = None
    user_identity_id: Annotated[
        OptionalUuid, Field(description="ID of the user identity whose ACS user it is; needs `acs_system_id`.")
    ] = None
    acs_system_id: Annotated[OptionalUuid, Field(description="ID of the access system that the ACS user is in.")] = None

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        _exactly_one(["acs_user_id", "user_identity_id"], [self.acs_user_id, self.user_identity_id])
        if self.user_identity_id is not None and self.acs_system_id is None:
            raise PydanticCustomError("needs", "acs_system_id is required with user_identity_id")
        return self


class ListAcsUsersRequest(PagedRequest):
    """The parameters of ``/acs/users/list``."""

    acs_system_id: Annotated[OptionalUuid, Field(description="Only those of this access system.")] = None
    created_before: Annotated[
        OptionalMoment, Field(description="Only those created before this moment (RFC 3339).")
    ] = None
    user_identity_id: Annotated[OptionalUuid, Field(description="Only those of this user identity.")] = None
    user_identity_email_address: Annotated[
        NullableFilter,
        Field(description="Only those whose user identity has this email address; `null` for those without one."),
    ] = None
    user_identity_phone_number: Annotated[
        NullableFilter,
        Field(description="Only those whose user identity has this phone number; `null` for those without one."),
    ] = None
    search: Annotated[
        OptionalText,
        Field(
            description="Only those with this in their `full_name`, `phone_number`, `email_address`, `acs_user_id`, "
            "`user_identity_id`, `user_identity_full_name` or `user_identity_phone_number`, without regard to case."
        ),
    ] = None
    limit: Annotated[Limit, _limit(500)] = 500


# ------------------------------------------------------------------------------------------------------------ Resources

_CREATED_AT = Field(description="When it was created, in UTC.", json_schema_extra={"format": "date-time"})
_Absent = Annotated[str | None, WithJsonSchema({"type": "string"})]
_AbsentUuid = Annotated[str | None, WithJsonSchema({"type": "string", "format": "uuid"})]


class _Resource(Response):
    """A resource whose optional properties are left out where there is nothing to say."""

    ABSENT: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        properties: dict[str, Any] = serialize(self)
        for name in self.ABSENT:
            if properties[name] is None:
                del properties[name]
        return properties

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # The serializer above returns what the fields say, which its type does not.
        described = handler({name: part for name, part in schema.items() if name != "serialization"})
        properties = handler.resolve_ref_schema(described)
        properties["required"] = [name for name in properties["required"] if name not in cls.ABSENT]
        return described


class UserIdentityWarning(Response):
    """A warning about a user identity."""

    warning_code: Annotated[Literal["being_deleted"], Field(description="What it warns of.")] = "being_deleted"
    message: Annotated[str, Field(description="The warning, for people.")]
    created_at: Annotated[str, _CREATED_AT]


class UserIdentity(Response):
    """A person who will open doors with a phone."""

    user_identity_id: Annotated[KnownUuid, Field(description="ID of the user identity.")]
    user_identity_key: Annotated[str | None, Field(description="Unique key, if it has one.")]
    email_address: Annotated[str | None, Field(description="Unique email address, if it is known.")]
    phone_number: Annotated[str | None, Field(description="Unique phone number in E.164 format, if it is known.")]
    full_name: Annotated[str | None, Field(description="Full name of the person, if it is known.")]
    display_name: Annotated[
        str, Field(description="The first that is known of full name, email address, phone number, key and ID.")
    ]
    acs_user_ids: Annotated[
        list[KnownUuid], Field(description="IDs of its ACS users, one in each access system at most.")
    ]
    created_at: Annotated[str, _CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    warnings: Annotated[
        Sequence[UserIdentityWarning], Field(description="`being_deleted` from the moment that its deletion begins.")
    ] = ()
    merged_user_identity_ids: Annotated[
        Sequence[str], Field(description="Always empty: user identities are not merged.")
    ] = ()
    merged_user_identity_keys: Annotated[
        Sequence[str], Field(description="Always empty: user identities are not merged.")
    ] = ()


class Location(Response):
    """Where an access system is."""

    time_zone: Annotated[str | None, Field(description="Its time zone by its IANA name, if it is known.")]


class AcsSystem(_Resource):
    """An access system: it opens doors, issues mobile credentials as a credential manager, or both."""

    ABSENT = frozenset({"external_type", "external_type_display_name"})

    acs_system_id: Annotated[KnownUuid, Field(description="ID of the access system.")]
    name: Annotated[str, Field(description="Name of the access system.")]
    is_credential_manager: Annotated[bool, Field(description="Whether it issues mobile credentials.")]
    connected_account_id: Annotated[KnownUuid, Field(description="ID of the connected account that it is part of.")]
    connected_account_ids: Annotated[
        list[KnownUuid],
        Field(description="The same as `connected_account_id`.", json_schema_extra={"deprecated": True}),
    ]
    created_at: Annotated[str, _CREATED_AT]
    default_credential_manager_acs_system_id: Annotated[
        KnownUuid | None,
        Field(description="ID of the credential manager to choose if nothing speaks for another, if any."),
    ]
    external_type: Annotated[_Absent, Field(description="Brand-specific type of the access system.")] = None
    external_type_display_name: Annotated[_Absent, Field(description="That type, for people.")] = None
    image_url: Annotated[str, Field(description="URL of an image of it; empty if there is none.")]
    image_alt_text: Annotated[str, Field(description="That image in words; empty if there is none.")]
    location: Annotated[Location, Field(description="Where the access system is.")]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    warnings: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()


class AcsCredentialPool(Response):
    """A pool that mobile credentials are taken from."""

    acs_credential_pool_id: Annotated[KnownUuid, Field(description="ID of the credential pool.")]
    acs_system_id: Annotated[KnownUuid, Field(description="ID of the credential manager that it belongs to.")]
    display_name: Annotated[str, Field(description="Name of the credential pool.")]
    external_type: Annotated[
        Literal["hid_part_number"], Field(description="Brand-specific type of the credential pool.")
    ]
    external_type_display_name: Annotated[str, Field(description="That type, for people.")]
    created_at: Annotated[str, _CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]


class AccessSchedule(Response):
    """When an ACS user has access."""

    starts_at: Annotated[
        str, Field(description="When access starts, in UTC.", json_schema_extra={"format": "date-time"})
    ]
    ends_at: Annotated[
        str | None,
        Field(description="When access ends, in UTC; `null` if never.", json_schema_extra={"format": "date-time"}),
    ]


class AcsUser(_Resource):
    """A person in one access system.  What is not known of the person is absent."""

    ABSENT = frozenset(
        {"full_name", "email_address", "phone_number", "access_schedule", "user_identity_id"}
        | {f"user_identity_{attribute}" for attribute in ("full_name", "email_address", "phone_number")}
    )

    acs_user_id: Annotated[KnownUuid, Field(description="ID of the ACS user.")]
    acs_system_id: Annotated[KnownUuid, Field(description="ID of the access system that contains it.")]
    display_name: Annotated[
        str, Field(description="The first that is known of full name, email address, phone number and ID.")
    ]
    full_name: Annotated[_Absent, Field(description="Full name of the person.")] = None
    email_address: Annotated[_Absent, Field(description="Email address of the person.")] = None
    phone_number: Annotated[_Absent, Field(description="Phone number of the person in E.164 format.")] = None
    access_schedule: Annotated[
        AccessSchedule | None,
        _NeverNull(),
        Field(description="When the ACS user has access; always if this is absent."),
    ] = None
    user_identity_id: Annotated[
        _AbsentUuid, Field(description="ID of the user identity that it is linked to; absent if it is not.")
    ] = None
    user_identity_full_name: Annotated[_Absent, Field(description="That user identity's full name.")] = None
    user_identity_email_address: Annotated[_Absent, Field(description="That user identity's email address.")] = None
    user_identity_phone_number: Annotated[_Absent, Field(description="That user identity's phone number.")] = None
    connected_account_id: Annotated[KnownUuid, Field(description="ID of its system's connected account.")]
    created_at: Annotated[str, _CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    is_managed: Annotated[Literal[True], Field(description="Always `true`.")] = True
    last_successful_sync_at: Annotated[
        None,
        _schema(nullable=True, format="date-time"),
        Field(description="Always `null`: nothing is synchronised."),
    ] = None
    errors: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    warnings: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()


class UserIdentityResponse(Response):
    """An answer with one user identity."""

    user_identity: UserIdentity
    ok: Literal[True] = True


class UserIdentitiesResponse(Response):
    """A page of user identities."""

    user_identities: list[UserIdentity]
    pagination: Pagination
    ok: Literal[True] = True


class AcsSystemResponse(Response):
    """An answer with one access system."""

    acs_system: AcsSystem
    ok: Literal[True] = True


class AcsSystemsResponse(Response):
    """An answer with access systems."""

    acs_systems: list[AcsSystem]
    ok: Literal[True] = True


class AcsSystemsPageResponse(Response):
    """A page of access systems."""

    acs_systems: list[AcsSystem]
    pagination: Pagination
    ok: Literal[True] = True


class AcsCredentialPoolsResponse(Response):
    """A page of credential pools."""

    acs_credential_pools: list[AcsCredentialPool]
    pagination: Pagination
    ok: Literal[True] = True


class AcsUserResponse(Response):
    """An answer with one ACS user."""

    acs_user: AcsUser
    ok: Literal[True] = True


class AcsUsersResponse(Response):
    """An answer with ACS users."""

    acs_users: list[AcsUser]
    ok: Literal[True] = True


class AcsUsersPageResponse(Response):
    """A page of ACS users."""

    acs_users: list[AcsUser]
    pagination: Pagination
    ok: Literal[True] = True
