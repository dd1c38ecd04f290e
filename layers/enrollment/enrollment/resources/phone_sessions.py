"""Phone sessions: what an app asks at each start, and what it is answered."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from enrollment.resources.acs_credentials import AcsCredential
from enrollment.resources.bodies import Request, Response
from enrollment.resources.fields import LONGEST_TEXT, InstallationId, KnownUuid, NeverNull, json_schema, refuse_null
from enrollment.resources.user_identities import UserIdentity

_OptionalShortText = Annotated[
    Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] | None,
    refuse_null("string"),
    json_schema(maxLength=LONGEST_TEXT),
]


class PhoneDeviceMetadataRequest(Request):
    """What an app knows of its phone."""

    manufacturer: Annotated[_OptionalShortText, Field(description="Its manufacturer.")] = None
    model: Annotated[_OptionalShortText, Field(description="Its model.")] = None
    os_version: Annotated[_OptionalShortText, Field(description="Version of its operating system.")] = None


class PhoneSessionRequest(Request):
    """The body of ``/seam/mobile_sdk/v1/phone_sessions/get_or_create``."""

    custom_sdk_installation_id: Annotated[
        InstallationId, Field(description="ID of the app's installation, which the app keeps.")
    ]
    phone_os: Annotated[Literal["ios", "android"], Field(description="The phone's operating system.")]
    phone_device_metadata: Annotated[
        PhoneDeviceMetadataRequest | None,
        refuse_null("object"),
        NeverNull(),
        Field(description="What the app knows of the phone; what is left out stays as it was."),
    ] = None


class PhoneRegistration(Response):
    """A phone's registration with a credential manager."""

    phone_registration_id: Annotated[
        KnownUuid, Field(description="ID of the registration: the same for a phone and a credential manager.")
    ]
    provider_name: Annotated[
        str | None, Field(description="The credential manager's `external_type`; `null` if it is not known.")
    ]
    provider_state: Annotated[
        dict[str, Any] | None,
        json_schema("object", nullable=True),
        Field(
            description="What the credential manager's SDK on the phone needs to accept its invitation; `null` before "
            "there is one, and once the phone is active."
        ),
    ]
    is_being_activated: Annotated[
        bool,
        Field(description="Whether the phone still waits for the credential manager, or for its person to accept."),
    ]


class PhoneCredential(AcsCredential):
    """A credential of one phone."""

    acs_entrances: Annotated[
        Sequence[dict[str, str]], Field(description="Always empty: entrances are not known here.")
    ] = ()


class ProviderSession(Response):
    """A phone with one credential manager."""

    phone_registration: Annotated[PhoneRegistration, Field(description="The phone's registration there.")]
    acs_credentials: Annotated[
        Sequence[PhoneCredential], Field(description="The phone's own credentials there, the oldest first.")
    ] = ()


class PhoneSession(Response):
    """A phone's person, and its registrations with credential managers."""

    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    is_sandbox_workspace: Annotated[bool, Field(description="Whether the workspace is a sandbox.")]
    user_identity: Annotated[UserIdentity, Field(description="The person.")]
    provider_sessions: Annotated[
        list[ProviderSession],
        Field(
            description="One for each running enrollment automation of the person, the oldest first; then one for each "
            "registration whose automation was deleted."
        ),
    ]


class PhoneSessionResponse(Response):
    """An answer with a phone session."""

    phone_session: PhoneSession
    ok: Literal[True] = True
