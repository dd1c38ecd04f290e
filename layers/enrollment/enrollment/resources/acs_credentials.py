"""Credentials: requests and answers."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Resource, ResourceError, Response
from enrollment.resources.credential_options import (
    FewUuids,
    HotekOptionsRequest,
    SaltoSpaceOptionsRequest,
    VisionlineOptionsRequest,
    VostioOptionsRequest,
)
from enrollment.resources.fields import (
    CREATED_AT,
    Absent,
    AbsentUuid,
    KnownUuid,
    Limit,
    NeverNull,
    OptionalBoolean,
    OptionalMoment,
    OptionalText,
    OptionalUuid,
    Uuid,
    exactly_one,
    json_schema,
    limit_of,
    refuse_null,
)

_OPTIONS = {
    "allowed_acs_entrance_ids",
    "visionline_metadata",
    "assa_abloy_vostio_metadata",
    "salto_space_metadata",
    "hotek_metadata",
}
_OTHER_ACCESS_METHODS = ("code", "card", "cloud_key")


def _only_mobile_keys(value: Any) -> Any:
    if value in _OTHER_ACCESS_METHODS:
        raise PydanticCustomError("access_method", "Must be mobile_key: there are no other credentials here")
    return value


def _only_for_all_phones(value: Any) -> Any:
    if value is False:
        raise PydanticCustomError("multi_phone", "Must be true: there are multi-phone sync credentials only")
    return value


_AccessMethod = Annotated[Literal["mobile_key"], BeforeValidator(_only_mobile_keys), json_schema(enum=["mobile_key"])]
_True = Annotated[StrictBool, BeforeValidator(_only_for_all_phones), json_schema("boolean", const=True)]


class CreateAcsCredentialRequest(Request):
    """The body of ``/acs/credentials/create``.

    It names the ACS user either by ``acs_user_id``, or by ``user_identity_id`` and ``acs_system_id``.
    """

    access_method: Annotated[_AccessMethod, Field(description="Always `mobile_key`.")]
    is_multi_phone_sync_credential: Annotated[
        _True, Field(description="Always `true`: the credential stands for the person's access, on all phones.")
    ]
    acs_user_id: Annotated[
        OptionalUuid, Field(description="ID of the ACS user to whom it belongs; not together with `user_identity_id`.")
    ] = None
    user_identity_id: Annotated[
        OptionalUuid,
        Field(
            description="ID of the user identity to whose ACS user it belongs; needs `acs_system_id`. If the user "
            "identity has no ACS user in that access system, an unlinked one with its email address or phone number "
            "is linked, else one is created."
        ),
    ] = None
    acs_system_id: Annotated[OptionalUuid, Field(description="ID of the access system that the ACS user is in.")] = None
    credential_manager_acs_system_id: Annotated[
        OptionalUuid,
        Field(
            description="ID of the credential manager that issues it. By default it is the access system's default, "
            "else the one of the user identity's oldest enrollment automation with a compatible credential manager."
        ),
    ] = None
    starts_at: Annotated[OptionalMoment, Field(description="When it becomes valid; now by default.")] = None
    ends_at: Annotated[
        OptionalMoment,
        Field(description="When it ends, in the future and after `starts_at`; never by default."),
    ] = None
    allowed_acs_entrance_ids: Annotated[FewUuids, Field(description="IDs of the entrances that it opens.")] = None
    visionline_metadata: Annotated[
        VisionlineOptionsRequest | None,
        refuse_null("object"),
        NeverNull(),
        Field(description="Options for Visionline."),
    ] = None
    assa_abloy_vostio_metadata: Annotated[
        VostioOptionsRequest | None, refuse_null("object"), NeverNull(), Field(description="Options for Vostio.")
    ] = None
    salto_space_metadata: Annotated[
        SaltoSpaceOptionsRequest | None,
        refuse_null("object"),
        NeverNull(),
        Field(description="Options for Salto Space."),
    ] = None
    hotek_metadata: Annotated[
        HotekOptionsRequest | None, refuse_null("object"), NeverNull(), Field(description="Options for Hotek.")
    ] = None

    @model_validator(mode="after")
    def _one_way_to_name_the_acs_user(self) -> Self:
        exactly_one(["acs_user_id", "user_identity_id"], [self.acs_user_id, self.user_identity_id])
        if self.user_identity_id is not None and self.acs_system_id is None:
            raise PydanticCustomError("needs", "acs_system_id is required with user_identity_id")
        return self

    def options_json(self) -> str | None:
        """Return what was given for the credential manager, as JSON; ``None`` if nothing was."""
        options = self.model_dump(mode="json", include=_OPTIONS, exclude_none=True)
        return json.dumps(options, separators=(",", ":")) if options else None


class AcsCredentialRequest(Request):
    """The parameters of routes that are about one credential."""

    acs_credential_id: Annotated[Uuid, Field(description="ID of the credential.")]


class UpdateAcsCredentialRequest(Request):
    """The body of ``/acs/credentials/update``: an absent parameter changes nothing."""

    acs_credential_id: Annotated[Uuid, Field(description="ID of the credential.")]
    ends_at: Annotated[OptionalMoment, Field(description="When it ends, in the future and after its start.")] = None


class ListAcsCredentialsRequest(PagedRequest):
    """The parameters of ``/acs/credentials/list``."""

    acs_user_id: Annotated[OptionalUuid, Field(description="Only those of this ACS user.")] = None
    acs_system_id: Annotated[OptionalUuid, Field(description="Only those of this access system.")] = None
    user_identity_id: Annotated[OptionalUuid, Field(description="Only those of this user identity.")] = None
    is_multi_phone_sync_credential: Annotated[
        OptionalBoolean,
        Field(
            description="`true` finds those that stand for a person's access on all phones, `false` those of one phone."
        ),
    ] = None
    created_before: Annotated[
        OptionalMoment, Field(description="Only those created before this moment (RFC 3339).")
    ] = None
    search: Annotated[
        OptionalText,
        Field(
            description="Only those with this in their `display_name`, `acs_user_id` or `acs_credential_id`, without "
            "regard to case."
        ),
    ] = None
    limit: Annotated[Limit, limit_of(500)] = 500


class AcsCredentialWarning(Response):
    """A warning about a credential."""

    warning_code: Annotated[
        Literal["waiting_to_be_issued", "being_deleted", "schedule_externally_modified"],
        Field(description="What it warns of."),
    ]
    message: Annotated[str, Field(description="The warning, for people.")]
    created_at: Annotated[str, CREATED_AT]


class AcsCredential(Resource):
    """A person's access at one access system: for all of the person's phones, or what one of them has of it."""

    ABSENT = frozenset({"acs_credential_pool_id", "card_number", "ends_at", "parent_acs_credential_id"})

    acs_credential_id: Annotated[KnownUuid, Field(description="ID of the credential.")]
    acs_user_id: Annotated[KnownUuid, Field(description="ID of the ACS user to whom it belongs.")]
    acs_system_id: Annotated[KnownUuid, Field(description="ID of the access system that contains it.")]
    user_identity_id: Annotated[KnownUuid, Field(description="ID of the user identity to whom it belongs.")]
    connected_account_id: Annotated[KnownUuid, Field(description="ID of its system's connected account.")]
    display_name: Annotated[str, Field(description="Its name.")] = "Mobile key"
    access_method: Annotated[Literal["mobile_key"], Field(description="Always `mobile_key`.")] = "mobile_key"
    is_multi_phone_sync_credential: Annotated[
        bool, Field(description="Whether it is for all of the person's phones; `false` if it is one phone's.")
    ]
    parent_acs_credential_id: Annotated[
        AbsentUuid,
        Field(description="ID of the multi-phone sync credential under which the phone has it; absent if none."),
    ] = None
    acs_credential_pool_id: Annotated[
        AbsentUuid, Field(description="ID of the credential pool that the phone has it from; absent if none.")
    ] = None
    card_number: Annotated[
        Absent, Field(description="The card number that the credential manager gave it; absent if none.")
    ] = None
    starts_at: Annotated[str, Field(description="When it becomes valid, in UTC.")]
    ends_at: Annotated[Absent, Field(description="When it ends, in UTC; absent if never.")] = None
    is_issued: Annotated[
        bool,
        Field(
            description="Whether the credential manager has issued it; one for all phones is issued with the first "
            "phone's."
        ),
    ]
    issued_at: Annotated[
        str | None,
        json_schema(nullable=True, format="date-time"),
        Field(description="When it was issued, in UTC; `null` if it is not."),
    ]
    is_latest_desired_state_synced_with_provider: Annotated[
        bool, Field(description="Whether the credential manager has what was asked for.")
    ]
    latest_desired_state_synced_with_provider_at: Annotated[
        str | None,
        json_schema(nullable=True, format="date-time"),
        Field(description="Since when the credential manager has it, in UTC; `null` if it has not."),
    ]
    is_managed: Annotated[Literal[True], Field(description="Always `true`.")] = True
    created_at: Annotated[str, CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[
        Sequence[ResourceError],
        Field(
            description="What is wrong with a phone's credential: why the credential manager has not issued it, or "
            "`invalidated` if it has taken it away."
        ),
    ]
    warnings: Annotated[
        Sequence[AcsCredentialWarning],
        Field(
            description="`waiting_to_be_issued` until it is issued, `being_deleted` until the credential manager has "
            "revoked it, `schedule_externally_modified` if its validity at the credential manager is another one."
        ),
    ]


class AcsCredentialResponse(Response):
    """An answer with one credential."""

    acs_credential: AcsCredential
    ok: Literal[True] = True


class AcsCredentialsResponse(Response):
    """A page of credentials."""

    acs_credentials: list[AcsCredential]
    pagination: Pagination
    ok: Literal[True] = True
