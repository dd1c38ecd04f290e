"""Uses the client that openapi-generator makes in Python, and prints what it was answered with as JSON.

The task comes as JSON on standard input.  ``mypy --strict`` checks this file against that client, so each step also
shows a type.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from enrollment_automations import (
    AccessScheduleRequest,
    AcsUserRequest,
    AcsUsersApi,
    ApiClient,
    ApiException,
    Configuration,
    CreateAcsUserRequest,
    CreateUserIdentityRequest,
    DeleteAutomationRequest,
    EnrollmentAutomation,
    EnrollmentAutomationsApi,
    ErrorResponse,
    ErrorType,
    GetAutomationRequest,
    GetUserIdentityRequest,
    LaunchRequest,
    ListAutomationsRequest,
    ListUserIdentitiesRequest,
    UpdateUserIdentityRequest,
    UserIdentitiesApi,
)

UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
TASK = json.load(sys.stdin)


def client(token: str, workspace_id: str | None = None) -> ApiClient:
    workspace = {} if workspace_id is None else {"seam_workspace": workspace_id}
    return ApiClient(Configuration(host=TASK["base_url"], access_token=TASK[token], api_key=workspace))


def refusal(call: Callable[[], object]) -> dict[str, Any]:
    """Return what a call is refused with."""
    try:
        call()
    except ApiException as refused:
        body = refused.data
        assert isinstance(body, ErrorResponse)
        kind, invalid, data = body.error.type, body.error.validation_errors, body.error.data
        assert_type(kind, ErrorType)
        return {
            "status": refused.status,
            "type": kind.value,
            "rules": invalid.errors if invalid else None,
            "page_cursor": invalid.page_cursor.errors if invalid and invalid.page_cursor else None,
            "names": str(data.enrollment_automation_id) if data else None,
        }
    return {"status": 200}


def pages(api: UserIdentitiesApi) -> list[list[str]]:
    cursor, found = None, []
    while True:
        page = api.list_user_identities(ListUserIdentitiesRequest(limit=2, page_cursor=cursor))
        found.append([str(identity.user_identity_id) for identity in page.user_identities])
        cursor = assert_type(page.pagination.next_page_cursor, str | None)
        if cursor is None:
            return found


def pages_by_get(api: UserIdentitiesApi) -> list[list[str]]:
    cursor, found, tomorrow = None, [], datetime.now(UTC) + timedelta(days=1)
    while True:
        page = api.list_user_identities_by_get(limit=2, page_cursor=cursor, created_before=tomorrow)
        found.append([str(identity.user_identity_id) for identity in page.user_identities])
        cursor = page.pagination.next_page_cursor
        if cursor is None:
            return found


def of_automations() -> dict[str, Any]:
    api = EnrollmentAutomationsApi(client("api_key"))
    identity_id, manager_id = UUID(TASK["user_identity_id"]), UUID(TASK["credential_manager_acs_system_id"])
    asked = LaunchRequest(user_identity_id=identity_id, credential_manager_acs_system_id=manager_id)
    creating = asked.model_copy(update={"create_credential_manager_user": True})
    both = creating.model_copy(update={"credential_manager_acs_user_id": UNKNOWN})

    launched = assert_type(api.launch_enrollment_automation(asked).enrollment_automation, EnrollmentAutomation)
    id_ = assert_type(launched.enrollment_automation_id, UUID)
    others = [
        api.launch_enrollment_automation(asked).enrollment_automation,
        api.get_enrollment_automation(GetAutomationRequest(enrollment_automation_id=id_)).enrollment_automation,
        api.get_enrollment_automation_by_get(id_).enrollment_automation,
        *api.list_enrollment_automations(ListAutomationsRequest(user_identity_id=identity_id)).enrollment_automations,
        *api.list_enrollment_automations_by_get(identity_id).enrollment_automations,
        EnrollmentAutomationsApi(client("personal_access_token", TASK["workspace_id"]))
        .get_enrollment_automation_by_get(id_)
        .enrollment_automation,
    ]
    return {
        "launched": json.loads(launched.to_json()),
        "others": [json.loads(other.to_json()) for other in others],
        "conflict": refusal(lambda: api.launch_enrollment_automation(creating)),
        "both_users": refusal(lambda: api.launch_enrollment_automation(both)),
        "not_found": refusal(lambda: api.get_enrollment_automation_by_get(UNKNOWN)),
        "unauthorized": refusal(
            lambda: EnrollmentAutomationsApi(client("wrong_token")).get_enrollment_automation_by_get(id_)
        ),
        "deleted": api.delete_enrollment_automation(DeleteAutomationRequest(enrollment_automation_id=id_)).ok,
        "deleted_again": refusal(lambda: api.delete_enrollment_automation_by_delete(id_)),
    }


def of_people() -> dict[str, Any]:
    identities, acs_users = UserIdentitiesApi(client("api_key")), AcsUsersApi(client("api_key"))
    person = CreateUserIdentityRequest(
        full_name="Jo Doe", email_address=TASK["email_address"], phone_number=TASK["phone_number"]
    )
    schedule = AccessScheduleRequest(
        starts_at=datetime(2099, 1, 1, tzinfo=UTC), ends_at=datetime(2099, 1, 2, tzinfo=UTC)
    )
    acs_user = CreateAcsUserRequest(
        full_name="Jo Doe", acs_system_id=UUID(TASK["acs_system_id"]), access_schedule=schedule
    )

    identity_id = identities.create_user_identity(person).user_identity.user_identity_id
    identities.update_user_identity(UpdateUserIdentityRequest(user_identity_id=identity_id, phone_number=None))
    updated = identities.get_user_identity(GetUserIdentityRequest(user_identity_id=identity_id)).user_identity
    acs_user_id = acs_users.create_acs_user(acs_user).acs_user.acs_user_id
    scheduled = acs_users.get_acs_user(AcsUserRequest(acs_user_id=acs_user_id)).acs_user.access_schedule
    return {
        "updated": [updated.email_address, updated.phone_number],
        "scheduled": json.loads(scheduled.to_json()) if scheduled else None,
        "invalid": refusal(lambda: identities.list_user_identities_by_get(page_cursor="x")),
        "pages": pages(identities),
        "pages_by_get": pages_by_get(identities),
    }


# What a typed body does not take; mypy would call these comments superfluous if it were not typed.
REFUSED: list[Callable[[], object]] = [
    lambda: LaunchRequest(user_identity_id=UNKNOWN),  # type: ignore[call-arg]
    lambda: EnrollmentAutomationsApi().launch_enrollment_automation({"user_identity_id": 1}),  # type: ignore[arg-type]
]


if __name__ == "__main__":
    json.dump(of_automations() | of_people(), sys.stdout)
