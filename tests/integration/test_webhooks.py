"""Webhooks: creating, reading, changing and deleting them."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from enrollment.callers import Caller
from enrollment.errors import InvalidInput, TooManyWebhooks, WebhookNotFound
from enrollment.outbound.addresses import ForbiddenAddress
from enrollment.resources.webhooks import CreateWebhookRequest, UpdateWebhookRequest, Webhook, WebhookRequest
from enrollment.secrets import webhook_secret
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, webhook_key
from enrollment.use_cases import webhooks
from tests.fixtures import Store, put_all

CALLER, OTHER_CALLER = Caller(str(uuid4())), Caller(str(uuid4()))
UNKNOWN = "00000000-0000-4000-8000-0000000000ff"
MASTER = b"master"
URL = "https://example.com/hook"


def create(store: Store, **parameters: Any) -> Webhook:
    request = CreateWebhookRequest(**{"url": URL} | parameters)
    return webhooks.create(store.table, CALLER, request, check_address=lambda _: None, master=MASTER)


def get(store: Store, webhook_id: str, caller: Caller = CALLER) -> Webhook:
    return webhooks.get(store.table, caller, WebhookRequest(webhook_id=webhook_id), master=MASTER)


def stored(number: int, **more: str) -> dict[Key, Item]:
    """Return a webhook's item; the greater its number, the newer it is."""
    webhook_id = f"00000000-0000-4000-8000-{number:012x}"
    item: Item = {
        "webhook_id": webhook_id,
        "workspace_id": CALLER.workspace_id,
        "url": URL,
        "event_types": frozenset({"*"}),
        "secret_version": "1",
        "created_at": f"2026-11-25T00:00:00.{number:03}Z",
        **more,
    }
    return {webhook_key(CALLER.workspace_id, webhook_id): item}


def test_a_webhook_gets_all_events_unless_it_names_types(store: Store) -> None:
    of_all = create(store)
    of_some = create(store, event_types=["phone.deactivated", "acs_user.created", "phone.deactivated"])

    assert (of_all.url, of_all.event_types) == (URL, ["*"])
    assert of_some.event_types == ["acs_user.created", "phone.deactivated"]
    assert get(store, of_some.webhook_id) == of_some


def test_a_webhooks_secret_is_in_every_answer_and_not_in_the_table(store: Store) -> None:
    created = create(store)

    (listed,) = webhooks.list_all(store.table, CALLER, master=MASTER)

    assert created.secret == listed.secret == webhook_secret(MASTER, created.webhook_id, "1")
    assert created.secret not in str(store.items())


def test_a_newer_version_is_another_secret(store: Store) -> None:
    put_all(store.table, stored(1) | stored(2, secret_version="2"))

    second, first = webhooks.list_all(store.table, CALLER, master=MASTER)

    assert first.secret == webhook_secret(MASTER, first.webhook_id, "1")
    assert second.secret == webhook_secret(MASTER, second.webhook_id, "2")


def test_webhooks_are_listed_newest_first_and_by_workspace(store: Store) -> None:
    put_all(store.table, stored(2) | stored(3) | stored(1))

    found = webhooks.list_all(store.table, CALLER, master=MASTER)

    assert [webhook.webhook_id[-1] for webhook in found] == ["3", "2", "1"]
    assert webhooks.list_all(store.table, OTHER_CALLER, master=MASTER) == []


def test_a_url_that_is_not_allowed_is_refused_with_the_reason(store: Store) -> None:
    def refuse(url: str) -> None:
        raise ForbiddenAddress(f"Must not be {url}")

    request = CreateWebhookRequest(url=URL, event_types=["*"])

    with pytest.raises(InvalidInput) as refused:
        webhooks.create(store.table, CALLER, request, check_address=refuse, master=MASTER)

    assert refused.value.problems == (("url", f"Must not be {URL}"),)
    assert store.items() == {}


def test_a_workspace_has_50_webhooks_at_most(store: Store) -> None:
    put_all(store.table, {key: item for number in range(49) for key, item in stored(number).items()})
    last = create(store)

    with pytest.raises(TooManyWebhooks):
        create(store)

    webhooks.delete_webhook(store.table, CALLER, WebhookRequest(webhook_id=last.webhook_id))
    create(store)


def test_an_update_changes_the_types_and_switches_a_webhook_on_again(store: Store) -> None:
    failing = dict.fromkeys(("failing_since", "breaker_opened_at", "switched_off_at"), "2026-11-20T00:00:00.000Z")
    put_all(store.table, stored(1, **failing))
    ((key, item),) = stored(1).items()

    request = UpdateWebhookRequest(webhook_id=key.sk, event_types=["acs_user.created"])
    webhooks.update(store.table, CALLER, request)

    assert store.items() == {key: {**item, "event_types": frozenset({"acs_user.created"})}}


def test_a_deleted_webhook_is_gone(store: Store) -> None:
    created = create(store)

    webhooks.delete_webhook(store.table, CALLER, WebhookRequest(webhook_id=created.webhook_id))

    assert store.items() == {}
    with pytest.raises(WebhookNotFound):
        get(store, created.webhook_id)


@pytest.mark.parametrize("which", ["unknown", "other workspace's"])
def test_a_webhook_that_is_not_there_is_not_found_and_nothing_changes(store: Store, which: str) -> None:
    webhook_id = {"unknown": UNKNOWN, "other workspace's": create(store).webhook_id}[which]
    before = store.items()
    update = UpdateWebhookRequest(webhook_id=webhook_id, event_types=["*"])

    with pytest.raises(WebhookNotFound):
        get(store, webhook_id, OTHER_CALLER)
    with pytest.raises(WebhookNotFound):
        webhooks.update(store.table, OTHER_CALLER, update)
    with pytest.raises(WebhookNotFound):
        webhooks.delete_webhook(store.table, OTHER_CALLER, WebhookRequest(webhook_id=webhook_id))

    assert store.items() == before


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": None}, "url"),
        ({"url": 7}, "url"),
        ({"url": f"https://example.com/{'a' * 1000}"}, "url"),
        ({"url": URL, "event_types": []}, "event_types"),
        ({"url": URL, "event_types": None}, "event_types"),
        ({"url": URL, "event_types": "*"}, "event_types"),
        ({"url": URL, "event_types": ["acs_user.invented"]}, "event_types"),
        ({"url": URL, "event_types": ["*"] * 201}, "event_types"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CreateWebhookRequest(**parameters)

    assert {error["loc"][0] for error in refused.value.errors()} == {wrong}
