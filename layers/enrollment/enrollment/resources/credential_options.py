"""What a client can give for a manufacturer when it creates a credential.

It is validated as Seam publishes it, kept with the credential, and is for the credential manager.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from enrollment.resources.bodies import Request
from enrollment.resources.fields import (
    UUIDS_SCHEMA,
    OptionalBoolean,
    OptionalUuid,
    Uuid,
    json_schema,
    refuse_null,
)

# A credential's item holds these, and DynamoDB allows an item 400 kB.
_MOST_IDS = 100

FewUuids = Annotated[
    Annotated[list[Uuid], Field(max_length=_MOST_IDS)] | None,
    refuse_null("array"),
    json_schema("array", maxItems=_MOST_IDS, **UUIDS_SCHEMA),
]
_OptionalCardFormat = Annotated[
    Literal["TLCode", "rfid48"] | None, refuse_null("string"), json_schema(enum=["TLCode", "rfid48"])
]
_DEPRECATED: dict[str, Any] = {"deprecated": True}


class VisionlineOptionsRequest(Request):
    """What Visionline takes."""

    auto_join: Annotated[OptionalBoolean, Field(description="Whether it joins other credentials of its room.")] = None
    card_format: Annotated[_OptionalCardFormat, Field(description="Format of a card.")] = None
    card_function_type: Annotated[
        Literal["guest", "staff"], Field(description="Whom the credential is for; `guest` by default.")
    ] = "guest"
    joiner_acs_credential_ids: Annotated[FewUuids, Field(description="IDs of credentials that it joins.")] = None
    override: Annotated[OptionalBoolean, Field(description="Whether it replaces others of its room.")] = None
    is_override_key: Annotated[
        OptionalBoolean, Field(description="Older name of `override`.", json_schema_extra=_DEPRECATED)
    ] = None
    assa_abloy_credential_service_mobile_endpoint_id: Annotated[
        OptionalUuid, Field(description="ID of a phone's endpoint.", json_schema_extra=_DEPRECATED)
    ] = None


class VostioOptionsRequest(Request):
    """What Vostio takes."""

    auto_join: Annotated[OptionalBoolean, Field(description="Whether it joins other credentials of its room.")] = None
    join_all_guest_acs_entrances: Annotated[OptionalBoolean, Field(description="Whether it joins at all rooms.")] = None
    override_all_guest_acs_entrances: Annotated[
        OptionalBoolean, Field(description="Whether it replaces others at all rooms.")
    ] = None
    override_guest_acs_entrance_ids: Annotated[
        FewUuids, Field(description="IDs of the rooms at which it replaces others.")
    ] = None


class SaltoSpaceOptionsRequest(Request):
    """What Salto Space takes."""

    assign_new_key: Annotated[OptionalBoolean, Field(description="Whether the user gets a first, new card.")] = None
    update_current_key: Annotated[OptionalBoolean, Field(description="Whether the user's card is updated.")] = None


class HotekOptionsRequest(Request):
    """What Hotek takes."""

    auto_join: Annotated[OptionalBoolean, Field(description="Whether it joins other credentials of its room.")] = None
    override: Annotated[OptionalBoolean, Field(description="Whether it replaces others of its room.")] = None
