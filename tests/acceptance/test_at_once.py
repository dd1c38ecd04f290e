"""The same value wanted by several requests at once: one gets it, and the others learn who."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.conftest import Service

REQUESTS = 8


@pytest.mark.parametrize("attribute", ["user_identity_key", "email_address", "phone_number"])
def test_one_of_several_creations_with_a_value_wins_and_the_others_name_it(service: Service, attribute: str) -> None:
    name = f"Jane.{uuid4().hex}@Example.com"
    value = {"user_identity_key": name, "email_address": name, "phone_number": f"+1{uuid4().int % 10**12}"}[attribute]
    spellings = [value, value.swapcase() if attribute == "email_address" else value] * (REQUESTS // 2)

    answers = at_once(service, "/user_identities/create", [{attribute: spelling} for spelling in spellings])

    (created,) = [answer.json()["user_identity"] for answer in answers if answer.status_code == 200]
    refusals = [answer.json()["error"] for answer in answers if answer.status_code == 409]
    assert len(refusals) == REQUESTS - 1
    assert {refusal["type"] for refusal in refusals} == {"user_identity_already_exists"}
    assert {refusal["data"]["user_identity_id"] for refusal in refusals} == {created["user_identity_id"]}


def test_one_of_several_identities_gets_an_acs_user(service: Service) -> None:
    acs_user = {"acs_user_id": service.workspace.acs_user(service["ACS_SYSTEM_ID"])}
    identities = [service.workspace.user_identity() for _ in range(REQUESTS)]

    answers = at_once(
        service, "/user_identities/add_acs_user", [acs_user | {"user_identity_id": identity} for identity in identities]
    )

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * (REQUESTS - 1)]
    linked = service.post("/acs/users/get", acs_user).json()["acs_user"]["user_identity_id"]
    assert linked == identities[[answer.status_code for answer in answers].index(200)]


def at_once(service: Service, route: str, bodies: list[dict[str, str]]) -> list[httpx.Response]:
    """Return the answers to POSTs that are sent at once, in their order."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: service.post(route, body), bodies))
