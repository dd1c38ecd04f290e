import re
from datetime import UTC, datetime, timedelta

import pytest

from enrollment.errors import Unauthorized
from enrollment.table import put_new, token_key
from enrollment.tokens import api_key_record, authenticate, create_api_key
from tests.conftest import Store

NOW = datetime(2026, 1, 9, 5, 45, 33, tzinfo=UTC)
WORKSPACE_ID = "de300000-0000-4000-8000-000000000001"
SECRET = "PubLicDemoKeyForLocaLUse"
KEY = f"seam_testDemo_{SECRET}"


@pytest.fixture(autouse=True)
def api_key(store: Store) -> None:
    store.table.put(put_new(token_key("testDemo"), api_key_record(SECRET, WORKSPACE_ID)))


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER   {KEY}", f"  Bearer {KEY} "])
def test_a_good_key_opens_its_workspace(store: Store, header: str) -> None:
    principal = authenticate(store.table, header, NOW)

    assert (principal.workspace_id, principal.token_id) == (WORKSPACE_ID, "testDemo")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "No token provided"),
        ("Bearer", "No token provided"),
        ("Bearer ", "No token provided"),
        (KEY, "No token provided"),
        (f"Basic {KEY}", "No token provided"),
        (f"Bearer {KEY} {KEY}", "No token provided"),
        (f"Bearer {KEY}x", "API Key not found"),
        (f"Bearer {KEY}\u00e9", "API Key not found"),
        ("Bearer seam_testNone_" + SECRET, "API Key not found"),
        ("Bearer seam_testDemo_" + SECRET[::-1], "API Key not found"),
        ("Bearer seam_testDemo_" + SECRET.lower(), "API Key not found"),
        ("Bearer seam_at1testDemo_" + SECRET, "Access token not found"),
        ("Bearer seam_cst1testDemo_" + SECRET, "Unauthorized (client session not found)"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.sig", "A JWT was used instead of an API key"),
    ],
)
def test_what_is_no_good_token_is_refused_with_the_reason(store: Store, header: str, message: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authenticate(store.table, header, NOW)

    assert refusal.value.message == message


def test_a_token_without_the_form_of_one_costs_no_read(store: Store) -> None:
    requests = store.count_requests()

    with pytest.raises(Unauthorized):
        authenticate(store.table, "Bearer junk", NOW)

    assert requests == []


def test_a_good_key_costs_one_read(store: Store) -> None:
    requests = store.count_requests()

    authenticate(store.table, f"Bearer {KEY}", NOW)

    assert requests == ["DynamoDB_20120810.GetItem"]


def test_a_key_works_until_it_expires(store: Store) -> None:
    key = create_api_key(store.table, WORKSPACE_ID, expires_at=NOW)

    assert authenticate(store.table, f"Bearer {key}", NOW - timedelta(milliseconds=1)).workspace_id == WORKSPACE_ID
    with pytest.raises(Unauthorized, match="expired"):
        authenticate(store.table, f"Bearer {key}", NOW)


def test_a_revoked_key_is_refused(store: Store) -> None:
    record = api_key_record(SECRET, WORKSPACE_ID, revoked_at=NOW)
    store.table.put(put_new(token_key("testGone"), record))

    with pytest.raises(Unauthorized, match="revoked"):
        authenticate(store.table, f"Bearer seam_testGone_{SECRET}", NOW)


def test_the_secret_is_not_stored(store: Store) -> None:
    key = create_api_key(store.table, WORKSPACE_ID)

    assert key.rsplit("_", 1)[1] not in str(store.items())


def test_created_keys_have_the_published_form(store: Store) -> None:
    base58 = "[1-9A-HJ-NP-Za-km-z]"
    keys = [create_api_key(store.table, WORKSPACE_ID) for _ in range(50)]

    assert len(set(keys)) == 50
    for key in keys:
        assert re.fullmatch(rf"seam_(?!at|cst|pk){base58}{{8}}_{base58}{{24}}", key)
