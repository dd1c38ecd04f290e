"""ACS users: requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Resource, Response
from enrollment.resources.fields import (
    CREATED_AT,
    LONGEST_TEXT,
    Absent,
    AbsentUuid,
    KnownUuid,
    Limit,
    NeverNull,
    NullableFilter,
    NullableMoment,
    OptionalEmailAddress,
    OptionalMoment,
    OptionalPhoneNumber,
    OptionalText,
    OptionalUuid,
    OptionalUuids,
    Uuid,
    exactly_one,
    json_schema,
    limit_of,
    refuse_null,
)


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
        # Pydantic's own `deprecated` would warn whenever the attribute is read.
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
        NeverNull(),
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
        exactly_one(["acs_user_id", "user_identity_id"], [self.acs_user_id, self.user_identity_id])
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
    limit: Annotated[Limit, limit_of(500)] = 500


class AccessSchedule(Response):
    """When an ACS user has access."""

    starts_at: Annotated[
        str, Field(description="When access starts, in UTC.", json_schema_extra={"format": "date-time"})
    ]
    ends_at: Annotated[
        str | None,
        Field(description="When access ends, in UTC; `null` if never.", json_schema_extra={"format": "date-time"}),
    ]


class AcsUser(Resource):
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
    full_name: Annotated[Absent, Field(description="Full name of the person.")] = None
    email_address: Annotated[Absent, Field(description="Email address of the person.")] = None
    phone_number: Annotated[Absent, Field(description="Phone number of the person in E.164 format.")] = None
    access_schedule: Annotated[
        AccessSchedule | None,
        NeverNull(),
        Field(description="When the ACS user has access; always if this is absent."),
    ] = None
    user_identity_id: Annotated[
        AbsentUuid, Field(description="ID of the user identity that it is linked to; absent if it is not.")
    ] = None
    user_identity_full_name: Annotated[Absent, Field(description="That user identity's full name.")] = None
    user_identity_email_address: Annotated[Absent, Field(description="That user identity's email address.")] = None
    user_identity_phone_number: Annotated[Absent, Field(description="That user identity's phone number.")] = None
    connected_account_id: Annotated[KnownUuid, Field(description="ID of its system's connected account.")]
    created_at: Annotated[str, CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    is_managed: Annotated[Literal[True], Field(description="Always `true`.")] = True
    last_successful_sync_at: Annotated[
        None,
        json_schema(nullable=True, format="date-time"),
        Field(description="Always `null`: nothing is synchronised."),
    ] = None
    errors: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    warnings: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()


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
