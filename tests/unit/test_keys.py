"""Keys are what is stored: a table that is in use would not be found under others."""

import pytest

from enrollment.store import keys
from enrollment.store.keys import Key

W, U, S = "WORKSPACE#w", "WORKSPACE#w#USER_IDENTITY#u", "WORKSPACE#w#ACS_SYSTEM#s"
KEYS = {
    keys.user_identity_key("w", "u"): Key(U, "USER_IDENTITY"),
    keys.automation_key("w", "u", "s"): Key(U, "ENROLLMENT_AUTOMATION#s"),
    keys.acs_user_link_key("w", "u", "s"): Key(U, "ACS_USER#s"),
    keys.automation_by_id_key("w", "a"): Key(f"{W}#ENROLLMENT_AUTOMATION#a", "ENROLLMENT_AUTOMATION"),
    keys.acs_system_key("w", "s"): Key(S, "ACS_SYSTEM"),
    keys.acs_credential_pool_key("w", "p"): Key(f"{W}#ACS_CREDENTIAL_POOL#p", "ACS_CREDENTIAL_POOL"),
    keys.acs_user_key("w", "a"): Key(f"{W}#ACS_USER#a", "ACS_USER"),
    keys.unique_key("w", "email_address", "e"): Key(f"{W}#UNIQUE_EMAIL_ADDRESS#e", "UNIQUE_EMAIL_ADDRESS"),
    keys.acs_user_match_key("w", "s", "phone_number", "n", "a"): Key(f"{S}#ACS_USERS_BY_PHONE_NUMBER#n", "a"),
    keys.user_identity_listing_key("w", "t", "u"): Key(f"{W}#USER_IDENTITIES", "t#u"),
    keys.enrolled_listing_key("w", "s", "u"): Key(f"{S}#USER_IDENTITIES", "u"),
    keys.acs_user_listing_key("w", "t", "a"): Key(f"{W}#ACS_USERS", "t#a"),
    keys.acs_user_of_system_listing_key("w", "s", "t", "a"): Key(f"{S}#ACS_USERS", "t#a"),
    keys.acs_system_listing_key("w", "t", "s"): Key(f"{W}#ACS_SYSTEMS", "t#s"),
    keys.credential_manager_listing_key("w", "t", "s"): Key(f"{W}#CREDENTIAL_MANAGERS", "t#s"),
    keys.acs_credential_pool_listing_key("w", "s", "t", "p"): Key(f"{S}#ACS_CREDENTIAL_POOLS", "t#p"),
    keys.token_key("k"): Key("TOKEN#k", "TOKEN"),
    keys.token_listing_key("k"): Key("TOKENS", "k"),
    keys.page_cursor_key(): Key("SECRET#PAGE_CURSOR", "SECRET"),
}


@pytest.mark.parametrize(("key", "stored"), KEYS.items(), ids=[str(key.pk) + str(key.sk) for key in KEYS.values()])
def test_a_key_stays_what_it_is(key: Key, stored: Key) -> None:
    assert key == stored


def test_an_entry_stands_for_what_its_key_ends_with() -> None:
    assert keys.listed_id("2026-01-09T05:45:33.068Z#an-id") == "an-id"
