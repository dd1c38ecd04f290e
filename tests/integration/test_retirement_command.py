"""`enrollments directory delete-system` and `delete-pool`, as an operator sees them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from enrollment.use_cases import waits
from enrollment.use_cases.waits import Clock
from enrollments.directory import deleting
from enrollments.main import main
from tests.fixtures import Store, Workspace
from tests.integration.conftest import UNKNOWN

type Run = Callable[..., Result]


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def run(store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    workspace.exist()
    monkeypatch.setattr(waits, "CLOCK", Clock(lambda: datetime.now(UTC), lambda _: None))
    where = ["--table-name", store.table_name, "--workspace-id", workspace.workspace_id]

    def run_(command: str, *arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["directory", command, *where, *arguments], input=answer)

    return run_


def test_a_system_is_deleted_and_each_step_is_a_line(store: Store, workspace: Workspace, run: Run) -> None:
    system = workspace.credential_manager()

    result = run("delete-system", system, "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"The ACS system {system} is deleted.\n"
    assert result.stderr.splitlines() == [
        "Looking in all of the workspace for what depends on it.",
        "It is retired: launches refuse it. Waiting 116 s for requests that still know it.",
        "Looking again for what depends on it.",
        "Nothing depends on it. Deleting it.",
    ]
    assert system not in str(store.items())


def test_what_is_in_use_is_not_deleted_and_the_reasons_are_listed(workspace: Workspace, run: Run) -> None:
    system = workspace.credential_manager()
    pool = workspace.acs_credential_pool(system)
    jane = workspace.acs_user(system, full_name="Jane Doe", email_address="jane@example.com")

    result = run("delete-system", system, "--yes")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        f"ACS users: 1 ({jane})",
        f"credential pools: 1 ({pool}); `enrollments directory delete-pool` deletes one",
        f"Error: the ACS system {system} is in use, so it was not deleted",
    ]


def test_only_some_of_many_are_named(workspace: Workspace, run: Run) -> None:
    system = workspace.acs_system()
    for _ in range(6):
        workspace.acs_user(system)

    (line,) = [line for line in run("delete-system", system, "--yes").stderr.splitlines() if "ACS users" in line]

    assert line.startswith("ACS users: 6 (")
    assert line.endswith(", …)")


def test_scripts_get_what_depends_on_it(workspace: Workspace, run: Run) -> None:
    system = workspace.acs_system()
    jane = workspace.acs_user(system)

    told = json.loads(run("delete-system", system, "--yes", "--json").stdout)

    assert told == {"id": system, "is_deleted": False, "dependants": {"acs_user": {"count": 1, "ids": [jane]}}}


def test_scripts_get_that_a_pool_is_deleted(workspace: Workspace, run: Run) -> None:
    pool = workspace.acs_credential_pool(workspace.credential_manager())

    told = json.loads(run("delete-pool", pool, "--yes", "--json").stdout)

    assert told == {"id": pool, "is_deleted": True, "dependants": {}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["delete-system", UNKNOWN, "--yes"],
            f"Error: there is no ACS system {UNKNOWN} in the workspace, or no longer; ",
        ),
        (["delete-pool", UNKNOWN, "--yes"], f"Error: there is no credential pool {UNKNOWN} in the workspace, or no "),
        (["delete-pool", UNKNOWN], "add --yes to delete the credential pool without a question"),
        (["delete-system", UNKNOWN, "--json"], "add --yes to delete the ACS system without a question"),
    ],
)
def test_a_mistake_is_a_clear_line(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(("answer", "is_there"), [("y\n", False), ("n\n", True)])
def test_at_a_terminal_the_operator_is_asked(
    store: Store,
    workspace: Workspace,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    is_there: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(deleting, "is_at_terminal", lambda: True)
    system = workspace.acs_system()

    run("delete-system", system, answer=answer)

    assert (system in str(store.items())) is is_there


def test_an_interrupted_deletion_is_finished_by_the_same_command(
    store: Store, workspace: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = workspace.acs_system()
    with monkeypatch.context() as patch:
        patch.setattr(waits, "CLOCK", Clock(lambda: datetime.now(UTC), interrupt))
        interrupted = run("delete-system", system, "--yes")

    result = run("delete-system", system, "--yes")

    assert interrupted.stderr.endswith("Error: interrupted; to finish the deletion, run the command again\n")
    assert result.exit_code == 0, result.output
    assert system not in str(store.items())
