"""``enrollments workspaces delete`` and the proofs of deletion, as an operator sees them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from enrollment.callers import TokenKind
from enrollment.store.actions import put
from enrollment.store.keys import deleted_workspace_key, unique_key, user_identity_listing_key
from enrollment.use_cases import workspace_deletion
from enrollment.use_cases.tokens import NewToken, create_token
from enrollment.use_cases.waits import Clock
from enrollment.use_cases.workspaces import show
from enrollments import deleting, target
from enrollments.main import main
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Provisioning

type Run = Callable[..., Result]

STACK_PARAMETERS = {"AuthorizerCacheSeconds": "300", "LogRetentionDays": "7"}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of a deletion, which take no time."""
    seconds: list[float] = []
    clock = Clock(lambda: datetime.now(UTC), seconds.append)
    monkeypatch.setattr("enrollment.use_cases.waits.CLOCK", clock)
    return seconds


@pytest.fixture
def run(store: Store, waits: list[float]) -> Run:
    assert not waits

    def run_(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, [*arguments, "--table-name", store.table_name], input=answer)

    return run_


def test_a_workspace_is_deleted_and_each_step_is_a_line(run: Run, workspace: Workspace, waits: list[float]) -> None:
    workspace.exist()
    workspace.user_identity(full_name="Jane Doe")

    result = run("workspaces", "delete", workspace.workspace_id, "--yes")

    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "The workspace is marked: commands refuse it, and it has no more events.",
        "Tokens, client sessions and webhooks that ended: 0.",
        "Waiting 98 s for requests that were let in before.",
        "Other items that are deleted: 2.",
        "Waiting 60 s for invocations of functions that had begun.",
    ]
    first, second = result.stdout.splitlines()
    assert first == f"Workspace {workspace.workspace_id} is deleted: a scan of the whole table finds nothing of it."
    assert second.startswith("Elsewhere there is still: what point-in-time recovery keeps, for 35 days;")
    assert [round(wait) for wait in waits] == [98, 60]


def test_the_waits_and_what_stays_follow_the_stacks_parameters(
    run: Run, workspace: Workspace, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.exist()
    monkeypatch.setattr(deleting, "parameters_of_command", lambda: STACK_PARAMETERS)

    result = run("workspaces", "delete", workspace.workspace_id, "--yes")

    assert [round(wait) for wait in waits] == [338, 60]
    assert "logs, with ids only, for 7 days" in result.stdout


def test_a_workspace_is_deleted_once_its_name_is_typed(
    run: Run, workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "is_at_terminal", lambda: True)
    workspace.exist("Main Street")

    wrong = run("workspaces", "delete", workspace.workspace_id, answer="Main\n")
    is_there = show(store.table, workspace.workspace_id) is not None
    right = run("workspaces", "delete", workspace.workspace_id, answer="Main Street\n")

    assert (wrong.exit_code, is_there) == (1, True)
    assert wrong.output.splitlines()[-1] == "Error: that is another name, so nothing was deleted"
    assert (right.exit_code, show(store.table, workspace.workspace_id)) == (0, None)


def test_without_a_terminal_the_option_yes_is_needed(run: Run, workspace: Workspace) -> None:
    workspace.exist()

    result = run("workspaces", "delete", workspace.workspace_id)

    assert result.exit_code == 2
    assert "there is no terminal to ask at; add --yes" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("tokens", "create", "--kind", "api-key", "--workspace-id", "{}"),
        ("tokens", "list", "--workspace-id", "{}"),
        ("workspaces", "rename", "{}", "New"),
        ("workspaces", "show", "{}"),
        ("directory", "check", "--workspace-id", "{}"),
        ("provisioning", "check", "--workspace-id", "{}"),
    ],
)
def test_commands_refuse_a_workspace_that_is_being_deleted(
    run: Run, workspace: Workspace, store: Store, command: tuple[str, ...]
) -> None:
    workspace.exist()
    workspace_deletion.mark_deleted(
        store.table, workspace.workspace_id, _terms(), datetime(2026, 12, 1, 10, tzinfo=UTC)
    )

    result = run(*(word.format(workspace.workspace_id) for word in command))

    assert result.exit_code == 1
    assert result.output == (
        f"Error: workspace {workspace.workspace_id} is being deleted, since 2026-12-01 10:00:00 UTC; "
        f"`enrollments workspaces delete {workspace.workspace_id}` finishes that\n"
    )


def test_a_command_that_began_before_the_mark_writes_nothing_after_it(
    run: Run, workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.exist("Old")
    require = target.require_workspaces

    def mark_between(*arguments: object) -> object:
        table = require(*arguments)  # type: ignore[arg-type]
        workspace_deletion.mark_deleted(store.table, workspace.workspace_id, _terms(), datetime.now(UTC))
        return table

    monkeypatch.setattr("enrollments.workspaces.require_workspaces", mark_between)

    result = run("workspaces", "rename", workspace.workspace_id, "New")

    found = show(store.table, workspace.workspace_id)
    assert found is not None
    assert (result.exit_code, found.name) == (1, "Old")
    assert result.output.startswith("Error: somebody has begun to delete the workspace, so nothing more is written")


def test_a_list_shows_which_workspaces_are_being_deleted(run: Run, workspace: Workspace, store: Store) -> None:
    workspace.exist("Main Street")
    workspace_deletion.mark_deleted(store.table, workspace.workspace_id, _terms(), datetime.now(UTC))

    lines = run("workspaces", "list").stdout.splitlines()
    (told,) = json.loads(run("workspaces", "list", "--json").stdout)

    assert "being deleted" in lines[1]
    assert told["is_being_deleted"] is True


def test_a_deleted_workspace_is_proved_to_be_gone(run: Run, workspace: Workspace, store: Store) -> None:
    workspace.exist()
    not_yet = run("workspaces", "prove-deleted", workspace.workspace_id)
    run("workspaces", "delete", workspace.workspace_id, "--yes")
    proved = run("workspaces", "prove-deleted", workspace.workspace_id)
    left = user_identity_listing_key(workspace.workspace_id, "2026-01-01", "x")
    store.table.transact({"left": put(left, {})})
    found = run("workspaces", "prove-deleted", workspace.workspace_id)
    told = run("workspaces", "prove-deleted", workspace.workspace_id, "--json")
    again = run("workspaces", "delete", workspace.workspace_id, "--yes")

    assert not_yet.output.endswith(f"`enrollments workspaces delete {workspace.workspace_id}` does that\n")
    assert (not_yet.exit_code, proved.exit_code, found.exit_code, again.exit_code) == (1, 0, 1, 0)
    assert found.stderr.splitlines()[0] == f"left: {left.pk}  {left.sk}"
    assert (told.exit_code, json.loads(told.stdout)["items_left"]) == (1, 1)
    assert deleted_workspace_key(workspace.workspace_id) in store.items()


@pytest.mark.parametrize("command", ["delete", "prove-deleted"])
def test_an_unknown_workspace_is_one_line(run: Run, command: str) -> None:
    workspace_id = str(uuid4())

    result = run("workspaces", command, workspace_id, *(["--yes"] if command == "delete" else []))

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: there is no workspace {workspace_id};")
    assert result.output.count("\n") == 1


# ------------------------------------------------------------------------------------------------------- one person


def test_a_deleted_person_is_proved_to_be_gone_once_managers_have_given_everything_back(
    run: Run, workspace: Workspace, store: Store, directory: Directory
) -> None:
    workspace.become_sandbox()
    provisioning = Provisioning(store.table, store.items)
    manager_id = workspace.credential_manager()
    identity_id = workspace.user_identity(email_address="jane@example.com")
    directory.launch(identity_id, manager_id, create_credential_manager_user=True)
    directory.create_phone(identity_id)
    provisioning.settle()
    arguments = ("user-identities", "prove-deleted", identity_id, "--workspace-id", workspace.workspace_id)

    before = run(*arguments)
    directory.delete(identity_id)
    meanwhile = run(*arguments)
    provisioning.settle()
    after = run(*arguments, "--text", "Jane@example.com")

    assert before.output.startswith(f"Error: user identity {identity_id} is not deleted: call /user_identities/delete")
    assert meanwhile.output.startswith(f"Error: credential managers have not given everything back yet: {manager_id};")
    assert after.exit_code == 0, after.output
    assert after.stdout.startswith(
        f"A scan of the whole table finds nothing of user identity {identity_id} that is its own."
    )


def test_events_that_name_a_deleted_person_are_counted_with_their_end(run: Run, workspace: Workspace) -> None:
    workspace.exist()
    identity_id = str(uuid4())
    workspace.event(user_identity_id=identity_id, deleted_after=1_800_000_000)

    result = run("user-identities", "prove-deleted", identity_id, "--workspace-id", workspace.workspace_id)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == (
        "3 events name its ID until they end, the last of them 2027-01-15 08:00:00 UTC."
    )


def test_what_is_left_of_a_person_is_named_by_its_key(run: Run, workspace: Workspace, store: Store) -> None:
    workspace.exist()
    identity_id = str(uuid4())
    left = user_identity_listing_key(workspace.workspace_id, "2026-01-01", identity_id)
    store.table.transact({"left": put(left, {})})
    arguments = ("user-identities", "prove-deleted", identity_id, "--workspace-id", workspace.workspace_id)

    result, told = run(*arguments), run(*arguments, "--json")
    store.restore({key: item for key, item in store.items().items() if key != left})

    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, f"left: {left.pk}  {left.sk}")
    assert (told.exit_code, json.loads(told.stdout)["other"]) == (1, 1)


def test_a_token_that_names_a_deleted_person_is_found(run: Run, workspace: Workspace, store: Store) -> None:
    workspace.exist()
    identity_id = str(uuid4())
    old = NewToken(TokenKind.CLIENT_SESSION, [workspace.workspace_id], [identity_id])
    short = create_token(store.table, old).split("_")[1]

    result = run("user-identities", "prove-deleted", identity_id, "--workspace-id", workspace.workspace_id)

    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, f"left: TOKEN#{short}  TOKEN")


def test_a_proof_prints_no_address(run: Run, workspace: Workspace, store: Store) -> None:
    workspace.exist()
    run("workspaces", "delete", workspace.workspace_id, "--yes")
    left = unique_key(workspace.workspace_id, "email_address", "jane@example.com")
    store.table.transact({"left": put(left, {})})

    result = run("workspaces", "prove-deleted", workspace.workspace_id)
    store.restore({key: item for key, item in store.items().items() if key != left})

    assert "UNIQUE_EMAIL_ADDRESS#…" in result.stderr
    assert "jane" not in result.output


def test_an_address_of_a_deleted_person_is_found_at_somebody_else(run: Run, workspace: Workspace) -> None:
    workspace.exist()
    workspace.user_identity(email_address="jane@example.com")

    result = run(
        "user-identities", "prove-deleted", str(uuid4()), "--workspace-id", workspace.workspace_id,
        "--text", "jane@example.com",
    )  # fmt: skip

    assert result.exit_code == 1
    assert "items with that text are left, which can be of somebody else" in result.output


def _terms() -> workspace_deletion.Terms:
    return workspace_deletion.Terms(timedelta(seconds=60), timedelta(0))
