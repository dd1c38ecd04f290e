"""Secrets that are derived from a master secret."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from enrollment.secrets import derive, webhook_secret


def test_a_derived_secret_is_the_hmac_of_what_it_is_for() -> None:
    expected = hmac.new(b"master", b"purpose:id:1", hashlib.sha256).digest()

    assert derive(b"master", "purpose", "id", "1") == expected


@pytest.mark.parametrize(
    "other",
    [
        (b"Master", "purpose", "id", "1"),
        (b"master", "other", "id", "1"),
        (b"master", "purpose", "other", "1"),
        (b"master", "purpose", "id", "2"),
    ],
)
def test_whatever_is_different_makes_another_secret(other: tuple[bytes, str, str, str]) -> None:
    assert derive(*other) != derive(b"master", "purpose", "id", "1")


def test_a_webhooks_secret_has_the_form_of_standard_webhooks() -> None:
    prefix, _, encoded = webhook_secret(b"master", "id", "1").partition("_")

    assert prefix == "whsec"
    assert base64.b64decode(encoded, validate=True) == derive(b"master", "webhook", "id", "1")


def test_what_is_signed_with_a_webhooks_secret_is_verified_with_it() -> None:
    secret, now = webhook_secret(b"master", "id", "1"), datetime.now(UTC)
    headers = {
        "webhook-id": "event",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("event", now, "{}"),
    }

    assert Webhook(secret).verify("{}", headers) == {}
