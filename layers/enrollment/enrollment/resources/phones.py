"""Phones: requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import PagedRequest, Pagination, Request, ResourceError, Response
from enrollment.resources.fields import (
    CREATED_AT,
    LONGEST_TEXT,
    KnownUuid,
    Limit,
    NeverNull,
    OptionalInstallationId,
    OptionalUuid,
    Uuid,
    json_schema,
    limit_of,
    refuse_null,
)
from enrollment.resources.zod import json_type


def _number(value: Any) -> Any:
    # Python counts true and false as numbers; JSON does not.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", f"Expected number, received {json_type(value)}")
    return value


_ShortText = Annotated[StrictStr, Field(max_length=LONGEST_TEXT), json_schema(maxLength=LONGEST_TEXT)]
_Number = Annotated[float, BeforeValidator(_number), json_schema("number")]


class PhoneRequest(Request):
    """The parameters of routes that are about one phone."""

    device_id: Annotated[Uuid, Field(description="ID of the phone.")]


class ListPhonesRequest(PagedRequest):
    """The parameters of ``/phones/list``."""

    owner_user_identity_id: Annotated[OptionalUuid, Field(description="Only those of this user identity.")] = None
    acs_credential_id: Annotated[
        OptionalUuid,
        Field(description="Only those with a credential under this one, or the one that this credential is for."),
    ] = None
    limit: Annotated[Limit, limit_of(500)] = 500


class SandboxPhoneMetadataRequest(Request):
    """What a simulated phone is."""

    operating_system: Annotated[
        Literal["android", "ios"], Field(description="Its operating system; `android` by default.")
    ] = "android"
    device_manufacturer: Annotated[_ShortText, Field(description="Its manufacturer; `Samsung` by default.")] = "Samsung"
    device_model: Annotated[
        _ShortText,
        Field(
            description="Its model; `Samsung Galaxy S10` by default. A simulated credential manager treats a phone by "
            "what its model's name contains: `slow`, `fails once`, `fails for good`, `empty pool`, "
            "`invitation expires`, `never answers`."
        ),
    ] = "Samsung Galaxy S10"
    os_version: Annotated[_ShortText, Field(description="Version of its operating system; `10` by default.")] = "10"


class SandboxAssaAbloyMetadataRequest(Request):
    """What a simulated phone can do for ASSA ABLOY's credential service."""

    application_version: Annotated[_ShortText, Field(description="Version of the app; `1.0.0` by default.")] = "1.0.0"
    ble_capability: Annotated[StrictBool, Field(description="Whether it has Bluetooth; it has by default.")] = True
    hce_capability: Annotated[
        StrictBool, Field(description="Whether it can stand for a card; it cannot by default.")
    ] = False
    nfc_capability: Annotated[StrictBool, Field(description="Whether it has NFC; it has not by default.")] = False
    seos_applet_version: Annotated[_ShortText, Field(description="Version of the applet; `1.0.0` by default.")] = (
        "1.0.0"
    )
    seos_tsm_endpoint_id: Annotated[_Number, Field(description="ID of the endpoint; 1 by default.")] = 1


class CreateSandboxPhoneRequest(Request):
    """The body of ``/phones/simulate/create_sandbox_phone``."""

    user_identity_id: Annotated[Uuid, Field(description="ID of the user identity whose phone it is.")]
    custom_sdk_installation_id: Annotated[
        OptionalInstallationId,
        Field(
            description="ID of the app's installation on the phone. An installation that is known is answered with its "
            "phone, and what it says of the phone is taken over. Without one, each call makes another phone."
        ),
    ] = None
    phone_metadata: Annotated[
        SandboxPhoneMetadataRequest | None,
        refuse_null("object"),
        NeverNull(),
        Field(description="What the phone is; an Android 10 Samsung Galaxy S10 by default."),
    ] = None
    assa_abloy_metadata: Annotated[
        SandboxAssaAbloyMetadataRequest | None,
        refuse_null("object"),
        NeverNull(),
        Field(description="What the phone can do; by default it has Bluetooth, and neither HCE nor NFC."),
    ] = None


class Endpoint(Response):
    """A phone at one credential manager."""

    endpoint_id: Annotated[str, Field(description="The credential manager's ID of the phone.")]
    is_active: Annotated[bool, Field(description="Whether the phone can get credentials there.")]


class CredentialServiceMetadata(Response):
    """What credential managers know of a phone, under the name that is published."""

    has_active_endpoint: Annotated[
        bool, Field(description="Whether the phone is active at one of its credential managers.")
    ]
    endpoints: Annotated[
        Sequence[Endpoint], Field(description="One for each credential manager that has given the phone an ID.")
    ]


class PhoneProperties(Response):
    """What credential managers know of a phone."""

    assa_abloy_credential_service_metadata: Annotated[
        CredentialServiceMetadata, Field(description="Its endpoints; guides poll `has_active_endpoint`.")
    ]


class Phone(Response):
    """A person's phone."""

    device_id: Annotated[KnownUuid, Field(description="ID of the phone.")]
    device_type: Annotated[Literal["ios_phone", "android_phone"], Field(description="What kind of phone it is.")]
    display_name: Annotated[
        str, Field(description="The first that is known of model and manufacturer, else its operating system.")
    ]
    properties: Annotated[PhoneProperties, Field(description="What credential managers know of it.")]
    custom_metadata: Annotated[dict[str, str], Field(description="Always empty.")]
    created_at: Annotated[str, CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[
        Sequence[ResourceError],
        Field(
            description="What is wrong with the phone or its credentials at its credential managers: the reason that a "
            "credential manager gave, `removed_by_credential_manager`, `invalidated`, or "
            "`credential_manager_unreachable` after a day without an answer."
        ),
    ] = ()
    warnings: Annotated[Sequence[dict[str, str]], Field(description="Always empty.")] = ()


class PhoneResponse(Response):
    """An answer with one phone."""

    phone: Phone
    ok: Literal[True] = True


class PhonesResponse(Response):
    """A page of phones."""

    phones: list[Phone]
    pagination: Pagination
    ok: Literal[True] = True
