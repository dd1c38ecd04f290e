"""Keys are what is stored: a table that is in use would not be found under others."""

import pytest

from enrollment.store import keys
from enrollment.store.attributes import Item
from enrollment.store.items import (
    stored_acs_credential,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_phone,
    stored_user_identity,
)
from enrollment.store.keys import Key

W, U, S = "WORKSPACE#w", "WORKSPACE#w#USER_IDENTITY#u", "WORKSPACE#w#ACS_SYSTEM#s"
KEYS = [
    (keys.user_identity_key("w", "u"), Key(U, "USER_IDENTITY")),
    (keys.automation_key("w", "u", "s"), Key(U, "ENROLLMENT_AUTOMATION#s")),
    (keys.acs_user_link_key("w", "u", "s"), Key(U, "ACS_USER#s")),
    (keys.automation_by_id_key("w", "a"), Key(f"{W}#ENROLLMENT_AUTOMATION#a", "ENROLLMENT_AUTOMATION")),
    (keys.acs_system_key("w", "s"), Key(S, "ACS_SYSTEM")),
    (keys.acs_credential_pool_key("w", "p"), Key(f"{W}#ACS_CREDENTIAL_POOL#p", "ACS_CREDENTIAL_POOL")),
    (keys.acs_user_key("w", "a"), Key(f"{W}#ACS_USER#a", "ACS_USER")),
    (keys.unique_key("w", "email_address", "e"), Key(f"{W}#UNIQUE_EMAIL_ADDRESS#e", "UNIQUE_EMAIL_ADDRESS")),
    (keys.acs_user_match_key("w", "s", "phone_number", "n", "a"), Key(f"{S}#ACS_USERS_BY_PHONE_NUMBER#n", "a")),
    (keys.user_identity_listing_key("w", "t", "u"), Key(f"{W}#USER_IDENTITIES", "t#u")),
    (keys.enrolled_listing_key("w", "s", "u"), Key(f"{S}#USER_IDENTITIES", "u")),
    (keys.acs_user_listing_key("w", "t", "a"), Key(f"{W}#ACS_USERS", "t#a")),
    (keys.acs_user_of_system_listing_key("w", "s", "t", "a"), Key(f"{S}#ACS_USERS", "t#a")),
    (keys.acs_system_listing_key("w", "t", "s"), Key(f"{W}#ACS_SYSTEMS", "t#s")),
    (keys.credential_manager_listing_key("w", "t", "s"), Key(f"{W}#CREDENTIAL_MANAGERS", "t#s")),
    (keys.acs_credential_pool_listing_key("w", "s", "t", "p"), Key(f"{S}#ACS_CREDENTIAL_POOLS", "t#p")),
    (keys.workspace_key("w"), Key(f"{W}#WORKSPACE", "WORKSPACE")),
    (keys.phone_key("w", "u", "d"), Key(f"{U}#PHONES", "PHONE#d")),
    (keys.installation_key("w", "u", "i"), Key(f"{U}#PHONES", "INSTALLATION#i")),
    (keys.acs_credential_key("w", "u", "c"), Key(f"{U}#PHONES", "CREDENTIAL#c")),
    (keys.enrollment_key("w", "u", "s"), Key(f"{U}#PHONES", "ENROLLMENT#s")),
    (keys.registration_key("w", "u", "d", "s"), Key(f"{U}#PHONES", "REGISTRATION#d#s")),
    (keys.execution_key("w", "u", "s"), Key(f"{U}#PHONES", "EXECUTION#s")),
    (keys.manager_pause_key("w", "s"), Key(f"{S}#PAUSE", "PAUSE")),
    (keys.connector_key("w", "s"), Key(f"{S}#CONNECTOR", "CONNECTOR")),
    (keys.connector_pools_key("w", "s"), Key(f"{S}#CONNECTOR", "POOLS")),
    (keys.phone_by_id_key("w", "d"), Key(f"{W}#PHONE#d", "PHONE")),
    (keys.phone_listing_key("w", "t", "d"), Key(f"{W}#PHONES", "t#d")),
    (keys.acs_credential_by_id_key("w", "c"), Key(f"{W}#ACS_CREDENTIAL#c", "ACS_CREDENTIAL")),
    (keys.acs_credential_listing_key("w", "t", "c"), Key(f"{W}#ACS_CREDENTIALS", "t#c")),
    (keys.acs_credential_of_system_listing_key("w", "s", "t", "c"), Key(f"{S}#ACS_CREDENTIALS", "t#c")),
    (keys.token_key("k"), Key("TOKEN#k", "TOKEN")),
    (keys.token_listing_key("k"), Key("TOKENS", "k")),
    (keys.page_cursor_key(), Key("SECRET#PAGE_CURSOR", "SECRET")),
]


@pytest.mark.parametrize(("key", "stored"), KEYS, ids=[stored.pk + stored.sk for _, stored in KEYS])
def test_a_key_stays_what_it_is(key: Key, stored: Key) -> None:
    assert key == stored


def test_an_entry_stands_for_what_its_key_ends_with() -> None:
    assert keys.listed_id("2026-01-09T05:45:33.068Z#an-id") == "an-id"


CREATED: Item = {"workspace_id": "w", "created_at": "t"}
PAIR: Item = {"user_identity_id": "u", "credential_manager_acs_system_id": "s"}
AT: Item = {"user_identity_id": "u"}
ADDRESSES: Item = {"email_address": "Jane@B.org", "phone_number": "+1"}
# What is stored of each subject, the item itself left out.
STORED = [
    (
        stored_user_identity({**CREATED, **ADDRESSES, "user_identity_id": "u", "user_identity_key": "K"}),
        {
            Key(f"{W}#USER_IDENTITIES", "t#u"): {},
            Key(f"{W}#UNIQUE_USER_IDENTITY_KEY#K", "UNIQUE_USER_IDENTITY_KEY"): {"user_identity_id": "u"},
            Key(f"{W}#UNIQUE_EMAIL_ADDRESS#jane@b.org", "UNIQUE_EMAIL_ADDRESS"): {"user_identity_id": "u"},
            Key(f"{W}#UNIQUE_PHONE_NUMBER#+1", "UNIQUE_PHONE_NUMBER"): {"user_identity_id": "u"},
        },
    ),
    (
        stored_automation({**CREATED, **PAIR, "enrollment_automation_id": "a"}),
        {
            Key(f"{W}#ENROLLMENT_AUTOMATION#a", "ENROLLMENT_AUTOMATION"): PAIR,
            Key(f"{S}#USER_IDENTITIES", "u"): {},
        },
    ),
    (
        stored_acs_system({**CREATED, "acs_system_id": "s", "is_credential_manager": True}),
        {Key(f"{W}#ACS_SYSTEMS", "t#s"): {}, Key(f"{W}#CREDENTIAL_MANAGERS", "t#s"): {}},
    ),
    (
        stored_acs_system({**CREATED, "acs_system_id": "s", "is_credential_manager": False}),
        {Key(f"{W}#ACS_SYSTEMS", "t#s"): {}},
    ),
    (
        stored_acs_credential_pool({**CREATED, "acs_system_id": "s", "acs_credential_pool_id": "p"}),
        {Key(f"{S}#ACS_CREDENTIAL_POOLS", "t#p"): {}},
    ),
    (
        stored_acs_user({**CREATED, **ADDRESSES, "acs_system_id": "s", "acs_user_id": "a"}),
        {
            Key(f"{W}#ACS_USERS", "t#a"): {},
            Key(f"{S}#ACS_USERS", "t#a"): {},
            Key(f"{S}#ACS_USERS_BY_EMAIL_ADDRESS#jane@b.org", "a"): {},
            Key(f"{S}#ACS_USERS_BY_PHONE_NUMBER#+1", "a"): {},
        },
    ),
    (
        stored_phone({**CREATED, **AT, "device_id": "d"}),
        {Key(f"{W}#PHONE#d", "PHONE"): AT, Key(f"{W}#PHONES", "t#d"): AT},
    ),
    (
        stored_phone({**CREATED, **AT, "device_id": "d", "custom_sdk_installation_id": "i"}),
        {
            Key(f"{W}#PHONE#d", "PHONE"): AT,
            Key(f"{W}#PHONES", "t#d"): AT,
            Key(f"{U}#PHONES", "INSTALLATION#i"): {"device_id": "d"},
        },
    ),
    (
        stored_acs_credential({**CREATED, **AT, "acs_credential_id": "c", "acs_system_id": "s"}),
        {
            Key(f"{W}#ACS_CREDENTIAL#c", "ACS_CREDENTIAL"): AT,
            Key(f"{W}#ACS_CREDENTIALS", "t#c"): AT,
            Key(f"{S}#ACS_CREDENTIALS", "t#c"): AT,
        },
    ),
]


@pytest.mark.parametrize(("stored", "entries"), STORED)
def test_a_record_has_these_entries(stored: dict[Key, Item], entries: dict[Key, Item]) -> None:
    """The check of a whole table asks the same functions what should be there, so it cannot hold this."""
    _, *found = stored.items()

    assert dict(found) == entries
