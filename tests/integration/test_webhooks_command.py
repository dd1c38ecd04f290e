"""`enrollments webhooks list`: what an operator sees of webhooks."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from enrollment.store.actions import put
from enrollment.store.attributes import Value
from enrollment.store.keys import webhook_key
from enrollments.webhooks import webhooks
from tests.fixtures import Store, Workspace

FIRST, SECOND = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
FAILING, HELD, OFF = "2026-11-20T10:00:00.000Z", "2026-11-20T10:05:00.000Z", "2026-11-25T10:00:00.000Z"

type Put = Callable[..., None]
type Run = Callable[..., Result]


@pytest.fixture
def put_webhook(store: Store, workspace: Workspace) -> Put:
    def put_(webhook_id: str, **more: Value) -> None:
        item = {
            "webhook_id": webhook_id,
            "workspace_id": workspace.workspace_id,
            "url": "https://example.com/hook",
            "event_types": frozenset({"*"}),
            "secret_version": "1",
            "created_at": f"2026-11-0{webhook_id[-1]}T10:00:00.000Z",
            **more,
        }
        assert not store.table.transact({"webhook": put(webhook_key(workspace.workspace_id, webhook_id), item)})

    return put_


@pytest.fixture
def run(store: Store, workspace: Workspace) -> Run:
    workspace.exist()

    def run_(*arguments: str) -> Result:
        options = ["--table-name", store.table.name, "--workspace-id", workspace.workspace_id]
        return CliRunner().invoke(webhooks, ["list", *options, *arguments], catch_exceptions=False)

    return run_


def test_each_webhook_is_a_line_that_says_what_fails(put_webhook: Put, run: Run) -> None:
    put_webhook(SECOND, failing_since=FAILING, breaker_opened_at=HELD, switched_off_at=OFF)
    put_webhook(FIRST, event_types=frozenset({"acs_user.deleted", "acs_user.created"}))

    assert run().stdout.splitlines() == [
        f"{FIRST}  good  https://example.com/hook  acs_user.created,acs_user.deleted",
        f"{SECOND}  failing since 2026-11-20 10:00:00 UTC, events held since 2026-11-20 10:05:00 UTC, "
        "switched off since 2026-11-25 10:00:00 UTC  https://example.com/hook  all events",
    ]


def test_json_has_all_but_secrets(put_webhook: Put, run: Run) -> None:
    put_webhook(FIRST, failing_since=FAILING)

    assert json.loads(run("--json").stdout) == [
        {
            "webhook_id": FIRST,
            "url": "https://example.com/hook",
            "created_at": "2026-11-01T10:00:00.000Z",
            "event_types": ["*"],
            "failing_since": FAILING,
            "breaker_opened_at": None,
            "switched_off_at": None,
        }
    ]


def test_a_workspace_without_webhooks_says_so(run: Run) -> None:
    result = run()

    assert (result.stdout, result.stderr) == ("", "No webhooks.\n")
