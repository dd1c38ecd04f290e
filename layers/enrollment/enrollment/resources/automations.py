"""Enrollment automations: requests and answers.

The JSON is the contract's.  Validation errors are reported in the order of the fields.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import Request, Response
from enrollment.resources.fields import KnownUuid, OptionalBoolean, OptionalUuid, Uuid


class LaunchRequest(Request):
    """The body of ``launch``.

    It names the ACS user by ``create_credential_manager_user: true``, by ``credential_manager_acs_user_id``, or not at
    all.
    """

    user_identity_id: Annotated[
        Uuid, Field(description="ID of the user identity for which to launch an enrollment automation.")
    ]
    credential_manager_acs_system_id: Annotated[
        Uuid, Field(description="ID of the access system that serves as the credential manager.")
    ]
    acs_credential_pool_id: Annotated[
        OptionalUuid, Field(description="ID of the credential pool from which to obtain credentials.")
    ] = None
    create_credential_manager_user: Annotated[
        OptionalBoolean,
        Field(
            description="Whether to give the user identity an ACS user in that system: the one that it has, else an "
            "unlinked one with its email address or phone number, else a new one. Not together with "
            "`credential_manager_acs_user_id`."
        ),
    ] = None
    credential_manager_acs_user_id: Annotated[
        OptionalUuid,
        Field(description="ID of the associated access system user within the credential manager."),
    ] = None

    BOTH_USERS: ClassVar[str] = (
        "Cannot specify credential_manager_acs_user_id when create_credential_manager_user is true"
    )

    @model_validator(mode="after")
    def _one_way_to_name_the_acs_user(self) -> Self:
        if self.create_credential_manager_user and self.credential_manager_acs_user_id is not None:
            raise PydanticCustomError("both_users", self.BOTH_USERS)
        return self


class GetAutomationRequest(Request):
    """The parameters of ``get``."""

    enrollment_automation_id: Annotated[Uuid, Field(description="ID of the enrollment automation to get.")]


class ListAutomationsRequest(Request):
    """The parameters of ``list``."""

    user_identity_id: Annotated[
        Uuid, Field(description="ID of the user identity whose enrollment automations to list.")
    ]


class DeleteAutomationRequest(Request):
    """The parameters of ``delete``."""

    enrollment_automation_id: Annotated[Uuid, Field(description="ID of the enrollment automation to delete.")]


class EnrollmentAutomation(Response):
    """The enrollment of a user identity with a credential manager."""

    # Exactly the seven published properties.

    user_identity_id: Annotated[KnownUuid, Field(description="ID of the enrolled user identity.")]
    enrollment_automation_id: Annotated[KnownUuid, Field(description="ID of the enrollment automation.")]
    acs_credential_provisioning_automation_id: Annotated[
        KnownUuid, Field(description="ID of the credential provisioning automation; the same as the automation's.")
    ]
    credential_manager_acs_system_id: Annotated[
        KnownUuid, Field(description="ID of the access system that serves as the credential manager.")
    ]
    is_running: Annotated[bool, Field(description="Whether the enrollment automation is running.")]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains the automation.")]
    created_at: Annotated[
        str, Field(description="When the automation was created, in UTC.", json_schema_extra={"format": "date-time"})
    ]


class AutomationResponse(Response):
    """The answer to ``launch`` and ``get``."""

    enrollment_automation: EnrollmentAutomation
    ok: Literal[True] = True


class AutomationsResponse(Response):
    """The answer to ``list``."""

    enrollment_automations: list[EnrollmentAutomation]
    ok: Literal[True] = True
