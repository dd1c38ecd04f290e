"""User identities: requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Response
from enrollment.resources.fields import (
    CREATED_AT,
    UUIDS_SCHEMA,
    KnownUuid,
    Limit,
    NullableEmailAddress,
    NullableKey,
    NullablePhoneNumber,
    NullableText,
    OptionalKey,
    OptionalMoment,
    OptionalText,
    OptionalUuid,
    OptionalUuids,
    Uuid,
    exactly_one,
    json_schema,
    limit_of,
    refuse_null,
)

# Each system takes six of the 100 actions of the transaction that creates a user identity.
_MOST_ACS_SYSTEMS = 15


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
        json_schema("array", maxItems=_MOST_ACS_SYSTEMS, **UUIDS_SCHEMA),
        Field(
            description="IDs of access systems in which the new user identity gets an ACS user: an unlinked one with "
            "its email address or phone number if there is one, else a new one."
        ),
    ] = None


class GetUserIdentityRequest(Request):
    """The parameters of ``/user_identities/get``: exactly one of ``user_identity_id`` and ``user_identity_key``."""

    user_identity_id: Annotated[OptionalUuid, Field(description="ID of the user identity to get.")] = None
    user_identity_key: Annotated[OptionalKey, Field(description="Key of the user identity to get.")] = None

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        exactly_one(["user_identity_id", "user_identity_key"], [self.user_identity_id, self.user_identity_key])
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
    limit: Annotated[Limit, limit_of(500)] = 500


class UpdateUserIdentityRequest(Request):
    """The body of ``/user_identities/update``: an absent parameter changes nothing, ``null`` removes a value."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity to update.")]
    user_identity_key: Annotated[NullableKey, Field(description="Unique key; `null` removes it.")] = None
    email_address: Annotated[
        NullableEmailAddress, Field(description="Unique email address, compared without regard to case.")
    ] = None
    phone_number: Annotated[
        NullablePhoneNumber, Field(description="Unique phone number in E.164 format; `null` removes it.")
    ] = None
    full_name: Annotated[NullableText, Field(description="Full name of the person; `null` removes it.")] = None


class UserIdentityRequest(Request):
    """The parameters of routes about one user identity."""

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
            description="Key of the user identity to add it to. If no user identity has it, one is created with the "
            "ACS user's name, email address and phone number."
        ),
    ] = None

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        exactly_one(["user_identity_id", "user_identity_key"], [self.user_identity_id, self.user_identity_key])
        return self


class RemoveAcsUserRequest(Request):
    """The parameters of ``/user_identities/remove_acs_user``."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity.")]
    acs_user_id: Annotated[Uuid, Field(description="ID of the ACS user to remove from it.")]


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
    created_at: Annotated[str, CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    warnings: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()
    merged_user_identity_ids: Annotated[
        Sequence[str], Field(description="Always empty: user identities are not merged.")
    ] = ()
    merged_user_identity_keys: Annotated[
        Sequence[str], Field(description="Always empty: user identities are not merged.")
    ] = ()


class UserIdentityResponse(Response):
    """An answer with one user identity."""

    user_identity: UserIdentity
    ok: Literal[True] = True


class UserIdentitiesResponse(Response):
    """A page of user identities."""

    user_identities: list[UserIdentity]
    pagination: Pagination
    ok: Literal[True] = True
