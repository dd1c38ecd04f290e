"""The guides step by step, by the published SDKs: from a person to two phones with their credentials, and to the end.

The service runs with all that follows a request, as with ``make run``.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local_aws.moto_server import serve_moto
from tests.acceptance.conftest import IN_PROCESS, Service, serve_stack
from tests.acceptance.large import IS_ALONE
from tests.acceptance.sdk import AUTOMATIONS, SEAM_1, Sdk, codes, installed, javascript, param, python

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IN_PROCESS, reason="what follows a request is driven in the local stack only"),
]

type Json = dict[str, Any]

CREATE_PHONE = "/phones/simulate/create_sandbox_phone"
SESSION = "/seam/mobile_sdk/v1/phone_sessions/get_or_create"
MOBILE_KEY = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}
# A machine that does nothing else needs less than 10 s for all of a story.
SOON = float(os.environ.get("ENROLLMENTS_SOON_SECONDS", "30"))
WAYS = [
    param(SEAM_1, "seam-1"),
    param(Sdk(python(3)), "seam-3"),
    param(Sdk(javascript(1)), "http-1"),
    param(Sdk(javascript(2)), "http-2"),
]


@pytest.fixture(scope="module")
def live(project: Path) -> Iterator[Service]:
    with serve_moto("127.0.0.1") as moto, serve_stack(project, moto=moto) as service:
        yield service


@pytest.fixture(scope="module", params=WAYS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@dataclass
class Server:
    """A server that follows the guides.

    Attributes:
        service: The service.
        sdk: The SDK that it uses.
    """

    service: Service
    sdk: Sdk

    def call(self, route: str, **parameters: Any) -> Any:
        (outcome,) = self.sdk.call(self.service, (route, parameters))
        assert codes([outcome]) == [None], outcome
        return outcome["result"]

    def wait(self, route: str, is_enough: Callable[[Any], bool], **parameters: Any) -> Any:
        """Repeat a call until its result is enough."""
        end = time.monotonic() + SOON
        while not is_enough(result := self.call(route, **parameters)):
            assert time.monotonic() < end, (result, self.service.terminal.getvalue())
            time.sleep(0.1)
        return result


@dataclass(frozen=True)
class Story:
    """What the SDK answered on the way.

    Attributes:
        pool_id: The pool that the automation names.
        parent: The credential that stands for the person's access.
        parent_then: The same, once all phones had theirs.
        phones: Both phones, once they were active.
        of_phones: The credentials of the phones.
        session: What the app was told of its phone then.
        after_deactivation: The credentials, once the first phone had none.
        missing: The error of a look at the first phone then.
        teardown: The errors of the published teardown.
        left: What was left in the end: credentials, phones, and people of this name.
        events: The types of the events of the phones and credentials.
        seconds: How long it took.
    """

    pool_id: str
    parent: Json
    parent_then: Json
    phones: list[Json]
    of_phones: list[Json]
    session: Json
    after_deactivation: list[Json]
    missing: str | None
    teardown: list[str | None]
    left: list[Any]
    events: list[str]
    seconds: float


def is_active(phone: Json) -> bool:
    metadata = phone["properties"]["assa_abloy_credential_service_metadata"]
    return bool(metadata["has_active_endpoint"])


def are_issued(count: int) -> Callable[[list[Json]], bool]:
    def enough(credentials: list[Json]) -> bool:
        return len(credentials) == count and all(credential["is_issued"] for credential in credentials)

    return enough


@pytest.fixture(scope="module")
def story(live: Service, sdk: Sdk) -> Story:
    began = time.monotonic()
    server = Server(live, sdk)
    since = "2026-02-01T00:00:00.000Z"

    # From a person to an automation and a credential.
    name = f"Jane {uuid4().hex}"
    person = {"user_identity_id": server.call("/user_identities/create", full_name=name)["user_identity_id"]}
    garage, pool_id = live["ACS_SYSTEM_ID"], live["ACS_CREDENTIAL_POOL_ID"]
    managers = server.call("/acs/systems/list_compatible_credential_manager_acs_systems", acs_system_id=garage)
    manager_id = managers[0]["acs_system_id"]
    automation = server.call(
        f"{AUTOMATIONS}/launch",
        **person,
        credential_manager_acs_system_id=manager_id,
        acs_credential_pool_id=pool_id,
        create_credential_manager_user=True,
    )
    acs_user = server.call("/acs/users/create", full_name=name, acs_system_id=garage, **person)
    parent = server.call("/acs/credentials/create", acs_user_id=acs_user["acs_user_id"], **MOBILE_KEY)

    # The app registers one phone, and the sandbox has another.
    token = server.call("/client_sessions/create", user_identity_ids=[person["user_identity_id"]])["token"]
    app = {"custom_sdk_installation_id": uuid4().hex, "phone_os": "ios"}
    first_start = live.post(SESSION, app, token=token)
    server.call(CREATE_PHONE, **person)
    owner = {"owner_user_identity_id": person["user_identity_id"]}
    phones = server.wait("/phones/list", lambda found: len(found) == 2 and all(map(is_active, found)), **owner)
    issued = server.wait("/acs/credentials/list", are_issued(5), **person)
    parent_then = server.call("/acs/credentials/get", acs_credential_id=parent["acs_credential_id"])
    session = live.post(SESSION, app, token=token).json()["phone_session"]
    assert first_start.status_code == 200, first_start.text

    # A phone is deactivated.
    gone = {"device_id": phones[0]["device_id"]}
    server.call("/phones/deactivate", **gone)
    after = server.wait("/acs/credentials/list", lambda found: len(found) == 3, **person)
    (missing,) = codes(sdk.call(live, ("/phones/get", gone)))

    # The published teardown: sessions, ACS users, automations, phones, the person.
    sessions = server.call("/client_sessions/list", **person)
    acs_users = server.call("/user_identities/list_acs_users", **person)
    teardown = codes(
        sdk.call(
            live,
            *(("/client_sessions/delete", {"client_session_id": one["client_session_id"]}) for one in sessions),
            *(("/acs/users/delete", {"acs_user_id": one["acs_user_id"]}) for one in acs_users),
            (f"{AUTOMATIONS}/delete", {"enrollment_automation_id": automation["enrollment_automation_id"]}),
            ("/phones/deactivate", {"device_id": phones[1]["device_id"]}),
            ("/user_identities/delete", person),
        )
    )

    def of_person(credentials: list[Json]) -> list[Json]:
        return [one for one in credentials if one["user_identity_id"] == person["user_identity_id"]]

    credentials = server.wait("/acs/credentials/list", lambda found: not of_person(found))
    seconds = time.monotonic() - began
    ids = {one["acs_credential_id"] for one in issued} | {one["device_id"] for one in phones}

    def is_of_story(event: Json) -> bool:
        return bool(ids & {event.get("acs_credential_id", ""), event.get("device_id", "")})

    events = server.wait("/events/list", lambda found: sum(map(is_of_story, found)) >= 14, since=since, limit=1000)
    return Story(
        pool_id,
        parent,
        parent_then,
        phones,
        [one for one in issued if one["acs_credential_id"] != parent["acs_credential_id"]],
        session,
        after,
        missing,
        teardown,
        [of_person(credentials), server.call("/user_identities/list", search=name)],
        sorted(one["event_type"] for one in events if is_of_story(one)),
        seconds,
    )


def test_each_phone_has_a_credential_under_the_persons_and_one_from_the_pool(story: Story) -> None:
    sources = [one.get("parent_acs_credential_id") or one.get("acs_credential_pool_id") for one in story.of_phones]

    assert sorted(map(str, sources)) == sorted([story.parent["acs_credential_id"], story.pool_id] * 2)
    assert [one["is_multi_phone_sync_credential"] for one in story.of_phones] == [False] * 4


def test_the_persons_credential_counts_as_issued_with_its_first(story: Story) -> None:
    assert story.parent["is_issued"] is False
    assert story.parent_then["is_issued"] is True
    assert story.parent_then["warnings"] == []


def test_phones_show_their_endpoints_and_no_errors(story: Story) -> None:
    endpoints = [phone["properties"]["assa_abloy_credential_service_metadata"]["endpoints"] for phone in story.phones]

    assert [len(some) for some in endpoints] == [1, 1]
    assert [phone["errors"] for phone in story.phones] == [[], []]


def test_the_app_sees_its_phones_registration_and_credentials(story: Story) -> None:
    (provider,) = story.session["provider_sessions"]

    assert provider["phone_registration"]["is_being_activated"] is False
    assert len(provider["acs_credentials"]) == 2


def test_a_deactivated_phone_has_no_credentials_any_more(story: Story) -> None:
    assert story.missing == "phone_not_found"
    assert len(story.after_deactivation) == 3


def test_each_step_of_the_teardown_succeeds_and_nothing_is_left(story: Story) -> None:
    assert story.teardown == [None] * 6
    assert story.left == [[], []]


def test_a_story_takes_seconds(story: Story) -> None:
    assert story.seconds < (max(10, SOON) if IS_ALONE else 4 * SOON)


def test_each_thing_that_happened_is_one_event(story: Story) -> None:
    assert story.events == [
        *["acs_credential.deleted"] * 5,
        *["acs_credential.issued"] * 5,
        *["phone.deactivated"] * 2,
        *["phone.registered"] * 2,
    ]
