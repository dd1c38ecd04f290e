"""The example of a connector, and the manufacturer that it pretends to have."""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from enrollment.managers.protocol import (
    CredentialAnswer,
    PhoneAnswer,
    Request,
    RequestType,
    ask_about_credential,
    ask_about_phone,
)
from examples.connector import connector as example
from examples.connector.connector import MOST_BYTES, create_app
from examples.connector.manufacturer import (
    Credential,
    CredentialState,
    EmailIsMissing,
    EmailIsTaken,
    IsBusy,
    Manufacturer,
    Model,
    NoSuchPool,
    NotFound,
    PersonHasPhones,
    Phone,
    PhoneIsNotActive,
    PhoneState,
    PoolIsEmpty,
    ReferenceIsTaken,
    Validity,
)
from tests.provisioning import Clock

SECRET = f"whsec_{base64.b64encode(b'the secret of this test').decode()}"
START = "2026-01-05T08:00:00.000Z"
END = "2027-01-05T08:00:00.000Z"
LATER_END = "2028-01-05T08:00:00.000Z"
PERSON = {
    "user_identity_id": "joan",
    "acs_user_id": "joan-at-the-garage",
    "full_name": "Joan Bow",
    "email_address": "joan@example.com",
    "phone_number": None,
}
PHONE = {
    "phone_registration_id": "joans-phone",
    "os": "android",
    "manufacturer": "Samsung",
    "model": "Galaxy S10",
    "os_version": "10",
}
EXPIRING = PHONE | {"model": "Invitation expires"}
OTHER_PHONE = PHONE | {"phone_registration_id": "joans-other-phone"}
MODEL = Model("Galaxy S10", "android", "10")
ALWAYS = Validity(datetime(2026, 1, 5, tzinfo=UTC), None)


class SlowManufacturer(Manufacturer):
    """A manufacturer whose searches take a moment, as over a network, so that threads come between."""

    def find_phone(self, reference: str) -> Phone | None:
        found = super().find_phone(reference)
        time.sleep(0.01)
        return found

    def find_credential(self, reference: str) -> Credential | None:
        found = super().find_credential(reference)
        time.sleep(0.01)
        return found


@dataclass
class Service:
    """The service, as the connector sees it: it sends requests, and keeps the memo of each phone."""

    clock: Clock
    manufacturer: Manufacturer
    client: FlaskClient
    memos: dict[str, Any] = field(default_factory=dict)

    def post(self, body: bytes, **headers: str) -> TestResponse:
        return self.client.post("/", data=body, headers={"Content-Type": "application/json", **headers})

    def send(self, asked: Any) -> TestResponse:
        body = json.dumps(asked)
        return self.post(body.encode(), **signed(body))

    def ask(self, request: Request) -> Mapping[str, Any]:
        response = self.send({"type": request.type, "data": request.data})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.get_json()
        return answer

    def about_phone(self, kind: RequestType, phone: Mapping[str, Any] = PHONE, **more: Any) -> PhoneAnswer:
        memo = self.memos.get(phone["phone_registration_id"])
        data = {"person": PERSON, "phone": phone, "memo": memo, **more}
        answer = ask_about_phone(self, Request("1", kind, data))
        self.memos[phone["phone_registration_id"]] = answer.memo
        return answer

    def register(self, phone: Mapping[str, Any] = PHONE, attempt: int = 1, **more: Any) -> PhoneAnswer:
        return self.about_phone(RequestType.PHONE_REGISTER, phone, attempt=attempt, **more)

    def status(self, phone: Mapping[str, Any] = PHONE, credentials: Any = (), **more: Any) -> PhoneAnswer:
        named = [{"acs_credential_id": one, "manager_credential_id": None} for one in credentials]
        return self.about_phone(RequestType.PHONE_STATUS, phone, credentials=named, **more)

    def deregister(self, phone: Mapping[str, Any] = PHONE, *, is_last: bool = True, **more: Any) -> PhoneAnswer:
        return self.about_phone(RequestType.PHONE_DEREGISTER, phone, is_last_phone=is_last, **more)

    def activate(self, phone: Mapping[str, Any] = PHONE) -> PhoneAnswer:
        self.register(phone)
        self.clock.turn(seconds=1)
        return self.status(phone)

    def about_credential(self, kind: RequestType, credential_id: str, **more: Any) -> CredentialAnswer:
        phone = more.get("phone", PHONE)
        memo = self.memos.get(phone["phone_registration_id"])
        data = {"person": PERSON, "phone": phone, "memo": memo, "acs_credential_id": credential_id, **more}
        return ask_about_credential(self, Request("1", kind, data))

    def issue(self, credential_id: str = "key", version: int = 1, **more: Any) -> CredentialAnswer:
        wanted = {
            "version": version,
            "starts_at": START,
            "ends_at": END,
            "pool": "standard",
            "options": {},
            "known_manager_credential_ids": [],
        }
        return self.about_credential(RequestType.CREDENTIAL_ISSUE, credential_id, **wanted | more)

    def revoke(self, credential_id: str = "key", **more: Any) -> CredentialAnswer:
        named = {"manager_credential_id": None}
        return self.about_credential(RequestType.CREDENTIAL_REVOKE, credential_id, **named | more)

    def left(self, pool: str = "standard") -> int:
        return self.manufacturer.available()[pool]


def signed(body: str, *, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    moment, request_id = at or datetime.now(UTC), str(uuid.uuid4())
    return {
        "webhook-id": request_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(request_id, moment, body),
    }


def serve(manufacturer: Manufacturer, clock: Clock) -> Service:
    return Service(clock, manufacturer, create_app(SECRET, manufacturer).test_client())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manufacturer(clock: Clock) -> Manufacturer:
    return Manufacturer(now=clock.now)


@pytest.fixture
def service(manufacturer: Manufacturer, clock: Clock) -> Service:
    return serve(manufacturer, clock)


# What the requests of the contract do


def test_a_check_says_what_the_manufacturer_can_do_and_what_its_pools_have_left(service: Service) -> None:
    answer = service.send({"type": "manager.check", "data": {}}).get_json()

    pools = [{"pool": "standard", "available": 100}, {"pool": "visitor", "available": 2}]
    assert answer == {"keeps_validity": True, "one_step": False, "pools": pools}


def test_a_phone_that_is_registered_is_invited_with_a_code(service: Service) -> None:
    answer = service.register()

    phone = service.manufacturer.find_phone("joans-phone")
    assert phone
    assert (answer.state, answer.app) == ("invited", {"invitation_code": phone.code})
    assert answer.app_expires_at == phone.code_ends_at
    assert answer.check_after_s == 1


def test_the_person_of_a_phone_is_known_to_the_manufacturer(service: Service) -> None:
    service.register()

    person = service.manufacturer.find_person("joan")
    assert person
    assert (person.name, person.email) == ("Joan Bow", "joan@example.com")


def test_a_phone_that_has_accepted_is_active_and_shows_no_code(service: Service) -> None:
    answer = service.activate()

    assert answer.state == "active"
    assert answer.endpoint_id
    assert (answer.app, answer.app_expires_at, answer.check_after_s) == (None, None, None)


def test_a_phone_that_the_manufacturer_does_not_know_is_gone_with_its_credentials(service: Service) -> None:
    answer = service.status(credentials=["key"])

    assert answer.state == "gone"
    assert [(one.acs_credential_id, one.state) for one in answer.credentials] == [("key", "gone")]


def test_a_credential_is_pending_and_then_active(service: Service) -> None:
    service.activate()

    issued = service.issue()
    service.clock.turn(seconds=1)
    (credential,) = service.status(credentials=["key"]).credentials

    assert (issued.state, issued.check_after_s) == ("pending", 1)
    assert (credential.state, credential.version, credential.check_after_s) == ("active", 1, None)
    assert credential.manager_credential_id == issued.manager_credential_id
    assert credential.card_number == "100001"


def test_a_credential_has_the_validity_that_was_asked_for(service: Service) -> None:
    service.activate()

    answer = service.issue()

    assert (answer.starts_at, answer.ends_at) == (datetime.fromisoformat(START), datetime.fromisoformat(END))


def test_a_credential_may_have_no_end(service: Service) -> None:
    service.activate()

    answer = service.issue(ends_at=None)

    assert answer.ends_at is None


def test_a_credential_comes_from_the_pool_that_is_named(service: Service) -> None:
    service.activate()

    service.issue(pool="visitor")

    assert service.manufacturer.available() == {"standard": 100, "visitor": 1}


def test_a_credential_that_names_no_pool_comes_from_the_usual_one(service: Service) -> None:
    service.activate()

    service.issue(pool=None)

    assert service.left("standard") == 99


def test_a_higher_version_changes_the_validity(service: Service) -> None:
    service.activate()
    first = service.issue()

    answer = service.issue(version=2, ends_at=LATER_END)

    assert (answer.version, answer.ends_at) == (2, datetime.fromisoformat(LATER_END))
    assert answer.manager_credential_id == first.manager_credential_id


def test_a_revoked_credential_is_removed_after_a_moment_and_back_in_its_pool(service: Service) -> None:
    service.activate()
    service.issue()

    answer = service.revoke()
    service.clock.turn(seconds=1)

    assert (answer.state, answer.check_after_s) == ("removing", 1)
    assert service.revoke().state == "gone"
    assert service.left() == 100


def test_a_phone_is_removed_after_a_moment_with_its_credentials(service: Service) -> None:
    service.activate()
    service.issue()

    answer = service.deregister()
    service.clock.turn(seconds=1)
    later = service.status(credentials=["key"])

    assert (answer.state, answer.check_after_s) == ("removing", 1)
    assert (later.state, [one.state for one in later.credentials]) == ("gone", ["gone"])
    assert service.left() == 100


def test_the_person_goes_with_the_last_phone(service: Service) -> None:
    service.activate()

    service.deregister(is_last=True)

    assert service.manufacturer.find_person("joan") is None


def test_the_person_stays_with_a_phone_that_is_not_the_last(service: Service) -> None:
    service.activate()

    service.deregister(is_last=False)

    assert service.manufacturer.find_person("joan")


def test_a_deleted_person_is_no_hindrance_to_removing_the_phone(service: Service) -> None:
    service.activate()
    deleted = PERSON | {"full_name": None, "email_address": None, "acs_user_id": None}

    answer = service.deregister(person=deleted)

    assert answer.state == "removing"


def test_a_request_may_have_fields_that_the_connector_does_not_know(service: Service) -> None:
    answer = service.register(PHONE | {"colour": "red"}, priority=1)

    assert answer.state == "invited"


# Attempts


def test_the_same_attempt_again_is_the_same_invitation(service: Service) -> None:
    first = service.register()

    again = service.register()

    assert again == first


def test_the_same_attempt_does_not_replace_an_invitation_that_has_expired(service: Service) -> None:
    service.register(EXPIRING)
    service.clock.turn(seconds=30)

    answer = service.register(EXPIRING)

    assert (answer.state, answer.reason) == ("failed", "invitation_expired")


def test_a_higher_attempt_replaces_an_invitation_that_has_expired(service: Service) -> None:
    first = service.register(EXPIRING)
    service.clock.turn(seconds=30)

    answer = service.register(EXPIRING, attempt=2)

    assert answer.state == "invited"
    assert answer.app != first.app


def test_a_higher_attempt_brings_back_a_phone_that_an_administrator_took_away(service: Service) -> None:
    service.activate()
    service.manufacturer.take_phone_away("joans-phone")

    assert service.status().state == "gone"
    assert service.register(attempt=1).state == "gone"
    assert service.register(attempt=2).state == "invited"


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_higher_attempt_leaves_a_phone_alone_that_is_invited_or_active(service: Service, seconds: int) -> None:
    service.register()
    service.clock.turn(seconds=seconds)
    before = service.register()

    answer = service.register(attempt=2)

    assert answer == before


def test_an_attempt_that_comes_late_does_not_replace_a_newer_invitation(service: Service) -> None:
    service.register(EXPIRING)
    service.clock.turn(seconds=30)
    second = service.register(EXPIRING, attempt=2)

    answer = service.register(EXPIRING, attempt=1)

    assert answer == second


def test_an_attempt_that_comes_late_does_not_bring_back_a_phone_that_was_taken_away(service: Service) -> None:
    service.register(EXPIRING)
    service.clock.turn(seconds=30)
    service.register(EXPIRING, attempt=2)
    service.manufacturer.take_phone_away("joans-phone")

    answer = service.register(EXPIRING, attempt=1)

    assert answer.state == "gone"


# Versions


def test_the_same_version_again_is_the_same_credential(service: Service) -> None:
    service.activate()
    first = service.issue()

    again = service.issue()

    assert again == first
    assert service.left() == 99


def test_a_version_that_comes_late_changes_nothing_back(service: Service) -> None:
    service.activate()
    service.issue()
    second = service.issue(version=2, ends_at=LATER_END)

    answer = service.issue(version=1, ends_at=END)

    assert answer == second


def test_a_credential_that_an_administrator_took_away_is_not_issued_again(service: Service) -> None:
    service.activate()
    service.issue()
    service.manufacturer.take_credential_away("key")

    assert service.status(credentials=["key"]).credentials[0].state == "gone"
    assert service.issue(version=2).state == "gone"


# Answers that were lost


def test_without_a_memo_a_phone_is_found_by_our_id(service: Service) -> None:
    active = service.activate()

    answer = service.status(memo=None)

    assert answer == active


def test_a_memo_of_a_phone_that_the_manufacturer_has_forgotten_is_no_hindrance(service: Service) -> None:
    answer = service.register(memo={"phone_id": "phone-of-another-time"})

    assert answer.state == "invited"


def test_an_invitation_whose_answer_was_lost_is_found(service: Service) -> None:
    first = service.register()

    again = service.register(memo=None)

    assert again == first


def test_a_credential_whose_answer_was_lost_is_found_by_our_id(service: Service) -> None:
    service.activate()
    other = service.issue("other key")
    lost = service.issue()

    again = service.issue(memo=None, known_manager_credential_ids=[other.manager_credential_id])

    assert again == lost
    assert service.left() == 98


def test_a_phone_whose_answers_were_all_lost_is_removed_by_our_id(service: Service) -> None:
    service.activate()

    answer = service.deregister(memo=None)

    assert answer.state == "removing"


def test_a_credential_whose_answer_was_lost_is_revoked_by_our_id(service: Service) -> None:
    service.activate()
    service.issue()

    answer = service.revoke(manager_credential_id=None)

    assert answer.state == "removing"


def test_a_removal_whose_answer_was_lost_goes_on(service: Service) -> None:
    service.activate()
    service.deregister()
    service.clock.turn(seconds=1)

    answer = service.deregister()

    assert answer.state == "gone"


# Removing what is unknown, and requests that come after a removal


def test_removing_a_phone_that_is_unknown_is_gone(service: Service) -> None:
    assert service.deregister().state == "gone"


def test_revoking_a_credential_that_is_unknown_is_gone(service: Service) -> None:
    assert service.revoke().state == "gone"


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("seconds", [0, 1])
def test_a_registration_after_the_removal_of_the_phone_is_refused(service: Service, attempt: int, seconds: int) -> None:
    service.activate()
    service.deregister()
    service.clock.turn(seconds=seconds)

    answer = service.register(attempt=attempt, memo=None)

    assert answer.state == "gone"


def test_a_registration_after_the_removal_of_a_phone_that_was_unknown_is_refused(service: Service) -> None:
    service.deregister()

    answer = service.register(memo=None)

    assert answer.state == "gone"


def test_a_registration_that_is_refused_does_not_bring_back_the_person(service: Service) -> None:
    service.deregister()

    service.register(memo=None)

    assert service.manufacturer.find_person("joan") is None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seconds", [0, 1])
def test_an_issue_after_the_removal_of_the_credential_is_refused(service: Service, version: int, seconds: int) -> None:
    service.activate()
    service.issue()
    service.revoke()
    service.clock.turn(seconds=seconds)

    answer = service.issue(version=version)

    assert answer.state == "gone"


def test_an_issue_after_the_removal_of_a_credential_that_was_unknown_is_refused(service: Service) -> None:
    service.activate()
    service.revoke()

    answer = service.issue()

    assert answer.state == "gone"
    assert service.left() == 100


@pytest.mark.parametrize("seconds", [0, 1])
def test_an_issue_after_the_removal_of_the_phone_is_refused(service: Service, seconds: int) -> None:
    service.activate()
    service.deregister()
    service.clock.turn(seconds=seconds)

    answer = service.issue(memo=None)

    assert answer.state == "gone"
    assert service.left() == 100


def test_an_issue_for_a_phone_that_is_unknown_is_refused(service: Service) -> None:
    assert service.issue().state == "gone"


def test_a_removal_that_comes_late_leaves_a_person_with_a_new_phone(service: Service) -> None:
    service.activate()
    service.deregister()
    service.activate(OTHER_PHONE)

    service.deregister()

    assert service.manufacturer.find_person("joan")
    assert service.status(OTHER_PHONE).state == "active"


# Why something fails


def test_an_invitation_that_nobody_accepts_expires(service: Service) -> None:
    service.register(EXPIRING)
    service.clock.turn(seconds=30)

    answer = service.status(EXPIRING)

    assert (answer.state, answer.reason) == ("failed", "invitation_expired")
    assert answer.app is None


def test_a_pool_that_is_empty_is_named_as_the_reason(service: Service) -> None:
    service.activate()
    service.issue("key 1", pool="visitor")
    service.issue("key 2", pool="visitor")

    answer = service.issue("key 3", pool="visitor")

    assert (answer.state, answer.reason) == ("failed", "pool_exhausted")
    assert answer.message == "The pool has no credential left."


def test_a_credential_is_issued_once_its_pool_has_one_again(service: Service) -> None:
    service.activate()
    service.issue("key 1", pool="visitor")
    service.issue("key 2", pool="visitor")
    service.issue("key 3", pool="visitor")
    service.revoke("key 1")
    service.clock.turn(seconds=1)

    answer = service.issue("key 3", pool="visitor")

    assert answer.state == "pending"


def test_a_pool_that_does_not_exist_is_a_refusal_that_names_the_pools(service: Service) -> None:
    service.activate()

    answer = service.issue(pool="gold")

    assert (answer.state, answer.reason) == ("failed", "rejected")
    assert answer.message == "There is no such pool; the pools are called standard, visitor."


def test_a_credential_for_a_phone_that_has_not_accepted_is_refused(service: Service) -> None:
    service.register()

    answer = service.issue()

    assert (answer.state, answer.reason) == ("failed", "rejected")


def test_a_manufacturer_that_needs_an_email_address_says_so(clock: Clock) -> None:
    service = serve(Manufacturer(now=clock.now, needs_email=True), clock)

    answer = service.register(person=PERSON | {"email_address": None})

    assert (answer.state, answer.reason) == ("failed", "email_required")


def test_the_next_attempt_succeeds_once_the_person_has_an_email_address(clock: Clock) -> None:
    service = serve(Manufacturer(now=clock.now, needs_email=True), clock)
    service.register(person=PERSON | {"email_address": None})

    answer = service.register(attempt=2)

    assert answer.state == "invited"


def test_a_person_with_the_email_address_of_another_is_a_conflict(service: Service) -> None:
    service.register()

    answer = service.register(OTHER_PHONE, person=PERSON | {"user_identity_id": "another joan"})

    assert (answer.state, answer.reason) == ("failed", "person_conflict")


def test_a_phone_that_is_too_old_is_unsupported(service: Service) -> None:
    answer = service.register(PHONE | {"os_version": "7.1"})

    assert (answer.state, answer.reason) == ("failed", "phone_unsupported")


def test_a_phone_of_which_little_is_known_is_invited(service: Service) -> None:
    answer = service.register(PHONE | {"model": None, "os_version": None})

    assert answer.state == "invited"


def test_a_person_can_have_only_so_many_phones(service: Service) -> None:
    states = [service.register(PHONE | {"phone_registration_id": str(number)}).state for number in range(5)]

    answer = service.register()

    assert states == ["invited"] * 5
    assert (answer.state, answer.reason) == ("failed", "phone_limit_reached")


def test_a_phone_can_have_only_so_many_credentials(service: Service) -> None:
    service.activate()
    states = [service.issue(f"key {number}").state for number in range(10)]

    answer = service.issue()

    assert states == ["pending"] * 10
    assert (answer.state, answer.reason) == ("failed", "credential_limit_reached")


def test_a_suspended_person_gets_no_phone_and_no_credential(service: Service) -> None:
    service.activate()
    service.manufacturer.suspend_person("joan")

    assert service.register(OTHER_PHONE).reason == "suspended_at_manager"
    assert service.issue().reason == "suspended_at_manager"


def test_a_busy_manufacturer_is_busy_for_the_service_too(service: Service) -> None:
    service.manufacturer.be_busy(timedelta(seconds=29.5))

    response = service.send({"type": "manager.check", "data": {}})

    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")


# Requests that are not the service's, or not of the protocol

CHECK = json.dumps({"type": "manager.check", "data": {}})


def test_a_signature_with_another_secret_is_refused(service: Service) -> None:
    other = f"whsec_{base64.b64encode(b'another secret').decode()}"

    response = service.post(CHECK.encode(), **signed(CHECK, secret=other))

    assert response.status_code == 401


def test_a_signature_of_another_body_is_refused(service: Service) -> None:
    response = service.post(CHECK.encode(), **signed("{}"))

    assert response.status_code == 401


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(service: Service, minutes: int) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)

    response = service.post(CHECK.encode(), **signed(CHECK, at=at))

    assert response.status_code == 401


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_request_without_one_of_the_headers_is_refused(service: Service, name: str) -> None:
    headers = signed(CHECK)
    del headers[name]

    response = service.post(CHECK.encode(), **headers)

    assert response.status_code == 401


@pytest.mark.parametrize("signature", ["nonsense", "v1,a", "v1,a,b", "v2,YQ==", ","])
def test_a_signature_that_is_none_is_refused(service: Service, signature: str) -> None:
    response = service.post(CHECK.encode(), **signed(CHECK) | {"webhook-signature": signature})

    assert response.status_code == 401


def test_a_body_that_is_no_text_is_refused(service: Service) -> None:
    response = service.post(b"\xff", **signed(CHECK))

    assert response.status_code == 401


def test_one_of_two_signatures_is_enough(service: Service) -> None:
    headers = signed(CHECK)
    headers["webhook-signature"] = f"v1,{base64.b64encode(b'other').decode()} {headers['webhook-signature']}"

    response = service.post(CHECK.encode(), **headers)

    assert response.status_code == 200


def test_a_refused_request_changes_nothing(service: Service) -> None:
    data = {"person": PERSON, "phone": PHONE, "memo": None, "attempt": 1}
    body = json.dumps({"type": "phone.register", "data": data})

    service.post(body.encode(), **signed("{}"))

    assert service.manufacturer.find_phone("joans-phone") is None


@pytest.mark.parametrize("body", ["", "no JSON", '{"type": '])
def test_a_body_that_is_not_json_is_wrong(service: Service, body: str) -> None:
    assert service.post(body.encode(), **signed(body)).status_code == 400


@pytest.mark.parametrize("asked", [[], "phone.status", None, {}, {"type": "phone.open"}, {"type": ["phone.status"]}])
def test_a_type_that_is_unknown_is_wrong(service: Service, asked: Any) -> None:
    assert service.send(asked).status_code == 400


def test_a_body_that_is_too_long_is_refused(service: Service) -> None:
    body = "x" * (MOST_BYTES + 1)

    assert service.post(body.encode(), **signed(body)).status_code == 413


def test_another_method_is_refused(service: Service) -> None:
    assert service.client.get("/").status_code == 405


def test_a_mistake_in_the_connector_is_no_answer_of_the_protocol(service: Service) -> None:
    data = {"person": PERSON, "phone": PHONE, "memo": None}  # without an attempt

    response = service.send({"type": "phone.register", "data": data})

    assert response.status_code == 500
    assert not response.is_json


def test_an_error_of_the_manufacturer_that_has_no_reason_is_no_answer_of_the_protocol(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.manufacturer, "find_phone", lambda _: None)
    service.register()
    data = {"person": PERSON, "phone": PHONE, "memo": None, "attempt": 1}

    response = service.send({"type": "phone.register", "data": data})  # the reference is taken

    assert response.status_code == 500


# The same at the same time


def test_the_same_issue_in_many_threads_makes_one_credential(clock: Clock) -> None:
    service = serve(SlowManufacturer(now=clock.now), clock)
    service.activate()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: service.issue(), range(8)))

    assert {one.manager_credential_id for one in answers} == {answers[0].manager_credential_id}
    assert service.left() == 99


def test_the_same_registration_in_many_threads_makes_one_invitation(clock: Clock) -> None:
    service = serve(SlowManufacturer(now=clock.now), clock)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: service.register(memo=None), range(8)))

    assert answers == [answers[0]] * 8


def test_versions_in_many_threads_end_with_the_highest(clock: Clock) -> None:
    service = serve(SlowManufacturer(now=clock.now), clock)
    service.activate()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda version: service.issue(version=version), [3, 8, 1, 5, 2, 7, 4, 6]))

    assert {one.manager_credential_id for one in answers} == {answers[0].manager_credential_id}
    assert service.issue(version=1).version == 8


def test_a_registration_and_a_removal_in_many_threads_leave_no_phone(clock: Clock) -> None:
    service = serve(SlowManufacturer(now=clock.now), clock)
    requests = [service.register, service.deregister] * 4

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda request: request(memo=None), requests))
    clock.turn(seconds=1)

    assert service.status().state == "gone"
    assert service.manufacturer.find_person("joan") is None


# What it prints


def test_each_request_is_a_line_with_type_phone_and_state(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.register(EXPIRING)
    service.clock.turn(seconds=30)
    service.status(EXPIRING)
    service.send({"type": "manager.check", "data": {}})
    service.send({"type": "unknown"})

    assert capsys.readouterr().out.splitlines() == [
        "phone.register joans-phone invited",
        "phone.status joans-phone failed invitation_expired",
        "manager.check",
        "400: the type is unknown",
    ]


def test_no_line_has_a_code_a_name_or_the_secret(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    code = (service.register().app or {})["invitation_code"]
    service.post(CHECK.encode())

    printed = "".join(capsys.readouterr())
    assert not [secret for secret in (code, "Joan", "joan@", SECRET) if secret in printed]


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_AAAAA", "whsec_Ä"])
def test_without_a_usable_secret_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, secret: str | None) -> None:
    monkeypatch.delenv("CONNECTOR_SECRET", raising=False)
    monkeypatch.setattr("os.environ", {} if secret is None else {"CONNECTOR_SECRET": secret})

    with pytest.raises(SystemExit, match="Set CONNECTOR_SECRET to the secret that"):
        example.main()


# The manufacturer


def invited(manufacturer: Manufacturer, reference: str = "phone", model: Model = MODEL) -> Phone:
    manufacturer.put_person("person", "Joan Bow", None)
    return manufacturer.invite("person", reference, model, note="1")


def test_an_invitation_is_accepted_after_a_second(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)

    clock.turn(seconds=0.9)
    before = manufacturer.find_phone("phone")
    clock.turn(seconds=0.1)
    after = manufacturer.get_phone(phone.id)

    assert before
    assert after
    assert (before.state, after.state) == (PhoneState.INVITED, PhoneState.ACTIVE)


def test_the_first_invitation_of_a_phone_of_that_model_expires(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer, model=MODEL._replace(name="Nobody's (invitation expires)"))

    clock.turn(seconds=29.9)
    before = manufacturer.get_phone(phone.id)
    clock.turn(seconds=0.1)
    after = manufacturer.get_phone(phone.id)

    assert before
    assert after
    assert (before.state, after.state) == (PhoneState.INVITED, PhoneState.EXPIRED)


def test_its_second_invitation_is_accepted(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer, model=MODEL._replace(name="invitation expires"))
    clock.turn(seconds=30)

    manufacturer.invite_again(phone.id, note="2")
    clock.turn(seconds=1)

    again = manufacturer.get_phone(phone.id)
    assert again
    assert (again.state, again.note) == (PhoneState.ACTIVE, "2")


def test_a_phone_that_is_active_is_not_invited_again(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)

    with pytest.raises(NotFound):
        manufacturer.invite_again(phone.id, note="2")


def test_a_reference_is_used_once(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.issue(phone.id, "key", "standard", ALWAYS, note="1")

    with pytest.raises(ReferenceIsTaken):
        manufacturer.invite("person", "phone", MODEL, note="1")
    with pytest.raises(ReferenceIsTaken):
        manufacturer.issue(phone.id, "key", "standard", ALWAYS, note="1")


def test_a_reference_that_was_removed_before_anything_had_it_is_used_up(
    manufacturer: Manufacturer, clock: Clock
) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.remove_phone("other phone")
    manufacturer.remove_credential("key")

    with pytest.raises(ReferenceIsTaken):
        manufacturer.invite("person", "other phone", MODEL, note="1")
    with pytest.raises(ReferenceIsTaken):
        manufacturer.issue(phone.id, "key", "standard", ALWAYS, note="1")


def test_a_removal_takes_a_second_and_is_not_begun_anew(manufacturer: Manufacturer, clock: Clock) -> None:
    invited(manufacturer)

    states = [manufacturer.remove_phone("phone").state]
    clock.turn(seconds=0.9)
    states.append(manufacturer.remove_phone("phone").state)
    clock.turn(seconds=0.1)
    states.append(manufacturer.remove_phone("phone").state)

    assert states == [PhoneState.REMOVING, PhoneState.REMOVING, PhoneState.REMOVED]


def test_a_pool_gives_out_only_what_it_has(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.issue(phone.id, "key 1", "visitor", ALWAYS, note="1")
    manufacturer.issue(phone.id, "key 2", "visitor", ALWAYS, note="1")

    with pytest.raises(PoolIsEmpty):
        manufacturer.issue(phone.id, "key 3", "visitor", ALWAYS, note="1")


def test_a_credential_is_back_in_its_pool_when_it_is_removed(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.issue(phone.id, "key", "visitor", ALWAYS, note="1")

    manufacturer.remove_credential("key")
    during = manufacturer.available()["visitor"]
    clock.turn(seconds=1)

    assert (during, manufacturer.available()["visitor"]) == (1, 2)


def test_no_credential_comes_from_an_unknown_pool_or_for_an_unknown_phone(
    manufacturer: Manufacturer, clock: Clock
) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)

    with pytest.raises(NoSuchPool):
        manufacturer.issue(phone.id, "key", "gold", ALWAYS, note="1")
    with pytest.raises(NotFound):
        manufacturer.issue("phone-unknown", "key", "standard", ALWAYS, note="1")


def test_a_phone_that_was_taken_away_loses_its_credentials_and_gets_none(
    manufacturer: Manufacturer, clock: Clock
) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.issue(phone.id, "key", "standard", ALWAYS, note="1")

    manufacturer.take_phone_away("phone")

    credential = manufacturer.find_credential("key")
    assert credential
    assert credential.state == CredentialState.TAKEN_AWAY
    with pytest.raises(PhoneIsNotActive):
        manufacturer.issue(phone.id, "other key", "standard", ALWAYS, note="1")


def test_what_is_removed_is_not_changed(manufacturer: Manufacturer, clock: Clock) -> None:
    phone = invited(manufacturer)
    clock.turn(seconds=1)
    manufacturer.issue(phone.id, "key", "standard", ALWAYS, note="1")
    manufacturer.remove_credential("key")

    with pytest.raises(NotFound):
        manufacturer.change_credential("key", ALWAYS, note="2")


def test_an_email_address_belongs_to_one_person(manufacturer: Manufacturer) -> None:
    manufacturer.put_person("person", None, "joan@example.com")
    manufacturer.put_person("person", "Joan Bow", "joan@example.com")

    with pytest.raises(EmailIsTaken):
        manufacturer.put_person("other", None, "joan@example.com")


def test_an_email_address_is_needed_if_the_manufacturer_says_so() -> None:
    with pytest.raises(EmailIsMissing):
        Manufacturer(needs_email=True).put_person("person", "Joan Bow", None)


def test_a_person_with_phones_is_not_removed(manufacturer: Manufacturer) -> None:
    invited(manufacturer)

    with pytest.raises(PersonHasPhones):
        manufacturer.remove_person("person")


def test_it_takes_no_calls_while_it_is_busy(manufacturer: Manufacturer, clock: Clock) -> None:
    manufacturer.be_busy(timedelta(seconds=2))
    clock.turn(seconds=0.5)

    with pytest.raises(IsBusy) as busy:
        manufacturer.available()

    assert busy.value.retry_after_s == 1.5


def test_it_takes_calls_again_afterwards(manufacturer: Manufacturer, clock: Clock) -> None:
    manufacturer.be_busy(timedelta(seconds=2))
    clock.turn(seconds=2)

    assert manufacturer.available() == {"standard": 100, "visitor": 2}
