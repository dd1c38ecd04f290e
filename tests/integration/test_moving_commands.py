"""``enrollments workspaces export`` and ``import``, as an operator sees them."""

import errno
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from enrollment.use_cases.workspaces import show
from enrollments.main import main
from enrollments.moving import commands
from enrollments.seen_ids import SeenIds
from enrollments.stacks import DeployedStack
from tests.fixtures import Store, Workspace, create_table
from tests.integration.conftest import Directory
from tests.moving import changed, file_of, records_in
from tests.provisioning import Provisioning

type Run = Callable[..., Result]

ELSEWHERE = "Elsewhere"


@pytest.fixture
def run(store: Store) -> Run:
    def run_(*arguments: str, table: str = store.table_name, given: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["workspaces", *arguments, "--table-name", table], input=given)

    return run_


@pytest.fixture
def exported(run: Run, workspace: Workspace, tmp_path: Path) -> Path:
    """The file of a small workspace."""
    workspace.exist("Main Street")
    workspace.user_identity(email_address="jane@example.com")
    workspace.acs_user(workspace.acs_system())
    file = tmp_path / "workspace.jsonl"
    assert run("export", workspace.workspace_id, "-o", str(file)).exit_code == 0
    return file


@pytest.fixture
def elsewhere(store: Store) -> Any:
    yield create_table(store.client, ELSEWHERE)
    store.client.delete_table(TableName=ELSEWHERE)


def test_an_export_says_what_is_in_the_file_and_what_is_not(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    workspace.exist()
    workspace.user_identity()
    file = tmp_path / "workspace.jsonl"

    result = run("export", workspace.workspace_id, "-o", str(file))

    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 user_identity" in result.stderr.splitlines()
    assert result.stderr.splitlines()[-1] == (
        "Not in the file: tokens, client sessions, webhooks, connectors with their secrets, and events."
    )
    assert [record["type"] for record in records_in(file.read_bytes())] == ["workspace", "user_identity", "end"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_export_that_fails_leaves_the_file_as_it_was(
    run: Run, workspace: Workspace, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = exported.read_bytes()
    monkeypatch.setattr(commands, "export_records", _interrupted)

    result = run("export", workspace.workspace_id, "-o", str(exported))

    assert result.exit_code == 1
    assert result.stderr == "Error: interrupted, and no file was written; run the command again\n"
    assert exported.read_bytes() == before
    assert list(exported.parent.iterdir()) == [exported]


def _interrupted(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_an_item_that_no_import_would_take_is_named(run: Run, workspace: Workspace) -> None:
    workspace.exist()
    person_id = workspace.user_identity(email_address="nobody")

    result = run("export", workspace.workspace_id)

    key = f"WORKSPACE#{workspace.workspace_id}#USER_IDENTITY#{person_id} USER_IDENTITY"
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: {key}: email_address: Invalid email; correct it and export the workspace again"
    ]


@pytest.fixture
def removal(store: Store, workspace: Workspace, directory: Directory) -> str:
    """The line's beginning about a deleted person of whom a credential manager has not let go."""
    workspace.become_sandbox()
    manager_id, identity_id = workspace.credential_manager(), workspace.user_identity()
    directory.launch(identity_id, manager_id, create_credential_manager_user=True)
    directory.create_phone(identity_id)
    Provisioning(store.table, store.items).settle()
    directory.delete(identity_id)
    return (
        f"Error: credential managers still have phones or credentials of deleted people: {manager_id} (1 person); "
        f"`enrollments phones --workspace-id {workspace.workspace_id}` shows them. Wait until they are removed, or add "
        "--without-removals"
    )


def test_an_export_stops_while_managers_have_something_of_deleted_people(
    run: Run, workspace: Workspace, removal: str, tmp_path: Path
) -> None:
    result = run("export", workspace.workspace_id, "-o", str(tmp_path / "workspace.jsonl"))

    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert result.stderr == f"{removal}: the file does not have them\n"


@pytest.mark.usefixtures("removal")
def test_an_export_can_be_told_to_go_on_without_what_is_being_removed(run: Run, workspace: Workspace) -> None:
    result = run("export", workspace.workspace_id, "--without-removals")

    assert result.exit_code == 0, result.output


def test_a_deletion_that_leaves_managers_alone_stops_while_they_have_something_of_deleted_people(
    run: Run, workspace: Workspace, removal: str, store: Store
) -> None:
    result = run("delete", workspace.workspace_id, "--yes", "--leave-at-managers")

    assert result.exit_code == 1
    assert result.stderr == f"{removal}, and nobody removes them\n"
    assert show(store.table, workspace.workspace_id) is not None


def test_only_a_deletion_that_leaves_managers_alone_can_be_without_removals(run: Run, workspace: Workspace) -> None:
    result = run("delete", workspace.workspace_id, "--yes", "--without-removals")

    assert result.exit_code == 2
    assert "--without-removals goes with --leave-at-managers" in result.stderr


def test_an_unknown_workspace_cannot_be_exported(run: Run) -> None:
    unknown = str(uuid4())

    result = run("export", unknown)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: there is no workspace {unknown}; ")


def test_an_import_says_what_it_did_and_what_is_left_to_do(
    run: Run, workspace: Workspace, exported: Path, elsewhere: Any
) -> None:
    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 0, result.output
    assert result.stdout == "3 records: 3 created, 0 updated, 0 unchanged, 0 kept, 0 bad.\n"
    into, set_again, go_on = result.stderr.splitlines()
    assert into == f"Importing into workspace {workspace.workspace_id}, Main Street, which is new."
    assert set_again.startswith("Not in any file, so set them again: tokens")
    assert go_on.endswith(
        f"provisioning check --mend --workspace-id {workspace.workspace_id} (after the connectors are set)"
    )
    found = show(elsewhere, workspace.workspace_id)
    assert found is not None
    assert found.name == "Main Street"


@pytest.mark.usefixtures("elsewhere")
def test_a_file_can_come_by_standard_input(run: Run, exported: Path) -> None:
    result = run("import", "-", "--json", table=ELSEWHERE, given=exported.read_bytes())

    assert json.loads(result.stdout) == {
        "records": 3,
        "created": 3,
        "updated": 0,
        "unchanged": 0,
        "kept": 0,
        "bad": 0,
        "dry_run": False,
        "is_complete": True,
    }


def test_a_dry_run_writes_nothing(run: Run, workspace: Workspace, exported: Path, elsewhere: Any) -> None:
    result = run("import", str(exported), "--dry-run", table=ELSEWHERE)

    assert result.stdout == (
        "Dry run, nothing was written: 3 records: 3 created, 0 updated, 0 unchanged, 0 kept, 0 bad.\n"
    )
    assert show(elsewhere, workspace.workspace_id) is None


@pytest.mark.usefixtures("elsewhere")
def test_each_bad_line_is_one_line_and_the_exit_status_is_1(run: Run, exported: Path) -> None:
    content = changed(
        exported.read_bytes(), "user_identity", lambda record: record.update(full_name=7, color="red\x1b")
    )
    exported.write_bytes(content)

    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 1
    assert result.stdout == "3 records: 2 created, 0 updated, 0 unchanged, 0 kept, 1 bad.\n"
    assert result.stderr.splitlines()[1:3] == [
        f"{exported}:3: full_name: Expected string, received number",
        f"{exported}:3: color: Unknown property",
    ]


def test_a_file_that_was_cut_off_is_refused_before_anything_is_written(
    run: Run, workspace: Workspace, exported: Path, elsewhere: Any
) -> None:
    exported.write_bytes(file_of(records_in(exported.read_bytes())[:-1]))

    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: {exported}:4: the file is not complete: its last line has to be that of the end; "
        "export the workspace again"
    ]
    assert show(elsewhere, workspace.workspace_id) is None


@pytest.mark.usefixtures("elsewhere")
def test_an_interrupted_import_says_how_to_go_on(run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "import_lines", _interrupted)

    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        "Error: interrupted; before that, 0 records: 0 created, 0 updated, 0 unchanged, 0 kept, 0 bad; "
        "to resume, import the file again, with --workspace-id"
    ]


def test_a_workspace_that_is_there_has_to_be_named(
    run: Run, workspace: Workspace, exported: Path, store: Store
) -> None:
    before = store.items()

    result = run("import", str(exported))

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Importing into workspace {workspace.workspace_id}, Main Street, which is there already.",
        f"Error: to import into a workspace that is there, name it: --workspace-id {workspace.workspace_id}",
    ]
    assert store.items() == before


def test_its_stored_name_is_told_and_not_that_of_the_file(run: Run, workspace: Workspace, exported: Path) -> None:
    exported.write_bytes(changed(exported.read_bytes(), "workspace", lambda record: record.update(name="Another")))

    result = run("import", str(exported), "--workspace-id", workspace.workspace_id)

    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0].endswith(", Main Street, which is there already.")


@pytest.mark.usefixtures("elsewhere")
def test_a_file_of_another_workspace_than_the_named_one_is_refused(
    run: Run, workspace: Workspace, exported: Path
) -> None:
    another = str(uuid4())

    result = run("import", str(exported), "--workspace-id", another, table=ELSEWHERE)

    assert result.exit_code == 1
    assert result.stderr == f"Error: the file is of workspace {workspace.workspace_id}, and not of {another}\n"


@pytest.mark.parametrize(("answer", "exit_code"), [("y\n", 0), ("n\n", 1)])
def test_on_a_terminal_a_question_is_enough(
    answer: str, exit_code: int, run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "is_at_terminal", lambda: True)

    result = run("import", str(exported), given=answer.encode())

    assert result.exit_code == exit_code
    assert "Is this the one?" in result.stderr


def test_a_dry_run_only_says_which_workspace_it_is(run: Run, exported: Path) -> None:
    result = run("import", str(exported), "--dry-run")

    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("outputs", "release"),
    [({}, "an older release"), ({"Release": "0.2.0"}, "release 0.2.0"), ({"Release": "0.2.10"}, "release 0.2.10")],
)
def test_a_stack_of_an_older_release_is_refused(
    outputs: dict[str, str], release: str, run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "stack_of_command", lambda: _stack(outputs))

    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: stack new is of {release}, which would make events of what an import restores and ask credential "
        "managers again; deploy this release there first\n"
    )


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("release", ["0.3.0", "0.10.0", "1.0.0"])
def test_a_stack_of_this_release_or_a_newer_one_is_good(
    release: str, run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "stack_of_command", lambda: _stack({"Release": release}))

    result = run("import", str(exported), table=ELSEWHERE)

    assert result.exit_code == 0, result.output


def _stack(outputs: dict[str, str]) -> DeployedStack:
    return DeployedStack("new", "us-east-1", "UPDATE_COMPLETE", outputs, {})


@pytest.mark.usefixtures("elsewhere")
def test_a_full_disk_ends_an_import_with_one_line(run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.copyfileobj", _full)

    result = run("import", "-", table=ELSEWHERE, given=exported.read_bytes())

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: [Errno 28] No space left on device; before that, 0 records")


def test_a_full_disk_ends_an_export_with_one_line(
    run: Run, workspace: Workspace, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = exported.read_bytes()
    monkeypatch.setattr(SeenIds, "note", _full_database)

    result = run("export", workspace.workspace_id, "-o", str(exported))

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: database or disk is full, and no file was written; make room for temporary files\n"
    )
    assert exported.read_bytes() == before


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _full_database(*_: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")
