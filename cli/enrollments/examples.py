"""Examples for the API document: requests that work in the demo workspace, and what it answers.

The answers are not written down but asked for, so they are what a reader gets who tries the requests.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enrollment.errors import (
    AcsUserInUse,
    EnrollmentAutomationAlreadyExists,
    EnrollmentError,
    InvalidInput,
    UserIdentityAlreadyExists,
)
from enrollment.http.routes import Route
from enrollment.resources.acs_systems import AcsSystemRequest, ListAcsCredentialPoolsRequest, ListAcsSystemsRequest
from enrollment.resources.acs_users import AcsUserRequest, CreateAcsUserRequest, ListAcsUsersRequest
from enrollment.resources.automations import (
    DeleteAutomationRequest,
    GetAutomationRequest,
    LaunchRequest,
    ListAutomationsRequest,
)
from enrollment.resources.user_identities import (
    AddAcsUserRequest,
    CreateUserIdentityRequest,
    GetUserIdentityRequest,
    ListUserIdentitiesRequest,
    RemoveAcsUserRequest,
    UpdateUserIdentityRequest,
    UserIdentityRequest,
)
from enrollments.local.demo import demo
from enrollments.local.stack import open_stack
from local_aws.gateway import Request

if TYPE_CHECKING:
    from pydantic import BaseModel

type Json = dict[str, Any]


def request_example(route: Route) -> Json:
    """Return parameters that work in the demo workspace."""
    v = demo().variables
    # What is deleted is not what the other examples are about.
    by_path: dict[str, Json] = {
        "/acs/users/delete": {"acs_user_id": v["OTHER_CREDENTIAL_MANAGER_ACS_USER_ID"]},
        "/user_identities/delete": {"user_identity_id": v["OTHER_USER_IDENTITY_ID"]},
    }
    by_model: dict[type[BaseModel], Json] = {
        LaunchRequest: {
            "user_identity_id": v["USER_IDENTITY_ID"],
            "credential_manager_acs_system_id": v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
            "create_credential_manager_user": True,
        },
        GetAutomationRequest: {"enrollment_automation_id": v["ENROLLMENT_AUTOMATION_ID"]},
        ListAutomationsRequest: {"user_identity_id": v["ENROLLED_USER_IDENTITY_ID"]},
        DeleteAutomationRequest: {"enrollment_automation_id": v["ENROLLMENT_AUTOMATION_ID"]},
        CreateUserIdentityRequest: {
            "user_identity_key": "jill.coe",
            "email_address": "jill.coe@example.com",
            "phone_number": "+15555550100",
            "full_name": "Jill Coe",
            "acs_system_ids": [v["ACS_SYSTEM_ID"]],
        },
        GetUserIdentityRequest: {"user_identity_id": v["USER_IDENTITY_ID"]},
        ListUserIdentitiesRequest: {
            "search": "oe",
            "user_identity_ids": [v["USER_IDENTITY_ID"], v["OTHER_USER_IDENTITY_ID"]],
            "limit": 1,
        },
        UpdateUserIdentityRequest: {
            "user_identity_id": v["USER_IDENTITY_ID"],
            "full_name": "Jane Doe-Roe",
            "phone_number": None,
        },
        UserIdentityRequest: {"user_identity_id": v["USER_IDENTITY_ID"]},
        AddAcsUserRequest: {
            "acs_user_id": v["CREDENTIAL_MANAGER_ACS_USER_ID"],
            "user_identity_id": v["USER_IDENTITY_ID"],
        },
        RemoveAcsUserRequest: {"user_identity_id": v["USER_IDENTITY_ID"], "acs_user_id": v["ACS_USER_ID"]},
        AcsSystemRequest: {"acs_system_id": v["ACS_SYSTEM_ID"]},
        ListAcsSystemsRequest: {"search": "tower"},
        ListAcsCredentialPoolsRequest: {"acs_system_id": v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]},
        CreateAcsUserRequest: {
            "full_name": "Jill Coe",
            "acs_system_id": v["ACS_SYSTEM_ID"],
            "email_address": "jill.coe@example.com",
            "phone_number": "+15555550100",
            "access_schedule": {"starts_at": "2026-01-09T08:00:00.000Z", "ends_at": "2099-12-31T18:00:00.000Z"},
        },
        AcsUserRequest: {"acs_user_id": v["ACS_USER_ID"]},
        ListAcsUsersRequest: {"acs_system_id": v["ACS_SYSTEM_ID"], "search": "jane"},
    }
    return by_path.get(route.path) or by_model[route.request]


def answer_examples(project: Path, routes: Iterable[Route]) -> dict[str, Json]:
    """Return an answer of each route, by path.

    What changes something is not asked: what it answers with is new each time, or nothing.  The ``get`` beside it
    answers with such a thing that is there already.

    Args:
        project: The folder of ``template.yaml``.
        routes: The routes.
    """
    by_path = {route.path: route for route in routes}
    examples: dict[str, Json] = {}
    with open_stack(project / "template.yaml", log=io.StringIO(), terminal=io.StringIO()) as stack:
        token = stack.demo.variables["SEAM_API_KEY"]
        headers = [
            ("Authorization", f"Bearer {token}"),
            ("Content-Type", "application/json"),
            ("Host", "api.example.com"),
        ]

        def ask(route: Route) -> Json:
            body = json.dumps(request_example(route)).encode()
            response = stack.gateway.handle(Request("POST", route.path, headers, body))
            # Addresses of other pages are made of the request's own; on this machine there is no TLS.
            answer: Json = json.loads(response.body.replace(b"http://", b"https://"))
            if not answer["ok"]:
                raise AssertionError(f"the example of {route.path} does not work: {answer['error']['message']}")
            return answer

        for path, route in by_path.items():
            if "GET" in route.methods:
                examples[path] = ask(route)
            elif "ok" in route.response.model_fields and len(route.response.model_fields) == 1:
                examples[path] = {"ok": True}
            else:
                examples[path] = ask(by_path[f"{path.rpartition('/')[0]}/get"])
    return examples


def error_example(error: type[EnrollmentError]) -> EnrollmentError:
    """Return an error as a route answers with it."""
    automation_id = demo().automation.enrollment_automation_id
    known: Mapping[type[EnrollmentError], EnrollmentError] = {
        # What a launch with these parameters is answered with: {"acs_credential_pool_id": "x"}
        InvalidInput: InvalidInput(
            [
                ("user_identity_id", "Required"),
                ("credential_manager_acs_system_id", "Required"),
                ("acs_credential_pool_id", "Invalid uuid"),
            ]
        ),
        AcsUserInUse: AcsUserInUse(automation_id),
        EnrollmentAutomationAlreadyExists: EnrollmentAutomationAlreadyExists(automation_id),
        UserIdentityAlreadyExists: UserIdentityAlreadyExists("email_address", demo().variables["USER_IDENTITY_ID"]),
    }
    return known.get(error) or error()
