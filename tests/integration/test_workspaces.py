"""Workspaces: what tokens see of them, and the operator's command."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from enrollment.callers import Caller, Principal, TokenKind
from enrollment.store.keys import deleted_workspace_key
from enrollment.use_cases import workspaces
from enrollment.use_cases.tokens import NewToken, authenticate, create_token
from enrollments.workspaces import workspaces as command
from tests.fixtures import TABLE_NAME, Store, Workspace, put_all
from tests.invariants import violations

type Run = Callable[..., Result]


@pytest.fixture
def run(store: Store) -> Run:
    def run_(name: str, *arguments: str) -> Result:
        return CliRunner().invoke(command, [name, "--table-name", store.table_name, *arguments])

    return run_


def created(run: Run, *arguments: str) -> str:
    result = run("create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[0]


def principal(*workspace_ids: str) -> Principal:
    return Principal(TokenKind.PERSONAL_ACCESS_TOKEN, "at1testDemo", workspace_ids)


# --------------------------------------------------------------------------------------------------- what tokens see


def test_a_workspace_is_what_the_operator_called_it(store: Store, run: Run) -> None:
    workspace_id = created(run, "Main Street", "--sandbox")

    found = workspaces.get(store.table, Caller(workspace_id))

    assert (found.workspace_id, found.name, found.company_name) == (workspace_id, "Main Street", "Main Street")
    assert (found.is_sandbox, found.is_suspended, found.organization_id) == (True, False, None)


def test_a_workspace_of_an_older_release_is_called_as_its_id(store: Store, workspace: Workspace) -> None:
    found = workspaces.get(store.table, Caller(workspace.workspace_id))

    assert (found.name, found.is_sandbox) == (workspace.workspace_id, False)


def test_a_token_lists_the_workspaces_that_it_may_enter(store: Store, run: Run) -> None:
    first, second, unadopted = created(run, "First"), created(run, "Second"), str(uuid4())
    created(run, "Another's")

    found = workspaces.list_of_token(store.table, principal(second, unadopted, first))

    assert [one.name for one in found] == ["Second", unadopted, "First"]


# -------------------------------------------------------------------------------------------------------- the command


def test_a_first_key_works_in_the_new_workspace(store: Store, run: Run) -> None:
    workspace_id, key = run("create", "Main Street", "--with-key").stdout.splitlines()

    found = authenticate(store.table, f"Bearer {key}", datetime.now(UTC)).principal

    assert (found.kind, found.workspace_ids) == (TokenKind.API_KEY, (workspace_id,))
    assert violations(store.items()) == []


def test_the_first_key_of_a_sandbox_shows_it(run: Run) -> None:
    told = json.loads(run("create", "Trial", "--sandbox", "--with-key", "--json").stdout)

    assert told["token"].startswith("seam_test")
    assert (told["name"], told["is_sandbox"]) == ("Trial", True)


def test_a_list_has_the_oldest_first(run: Run) -> None:
    ids = [created(run, "First"), created(run, "Second", "--sandbox")]

    lines = [line.split() for line in run("list").stdout.splitlines()]
    told = json.loads(run("list", "--json").stdout)

    assert {line[0] for line in lines[1:]} == {one["workspace_id"] for one in told} == set(ids)
    assert [one["created_at"] for one in told] == sorted(one["created_at"] for one in told)
    assert {(line[1], line[-1]) for line in lines[1:]} == {
        ("production", "First"),
        ("sandbox", "Second"),
    }


def test_no_workspaces_are_a_clear_line(run: Run) -> None:
    assert run("list").output == "No workspaces.\n"


def test_a_renamed_workspace_has_its_new_name(run: Run) -> None:
    workspace_id = created(run, "Old")

    assert run("rename", workspace_id, "New").output == f"{workspace_id} is called New.\n"
    assert json.loads(run("show", workspace_id, "--json").stdout)["name"] == "New"


@pytest.mark.parametrize("arguments", [("show", "{}"), ("rename", "{}", "x")])
def test_a_workspace_that_does_not_exist_is_refused_with_what_to_do(run: Run, arguments: tuple[str, ...]) -> None:
    workspace_id = str(uuid4())

    result = run(*(argument.format(workspace_id) for argument in arguments))

    assert result.exit_code == 1
    assert result.output == (
        f"Error: there is no workspace {workspace_id}; `enrollments workspaces list` shows all, "
        "`enrollments workspaces create` makes one, and `enrollments workspaces adopt` finds those of an older "
        "release\n"
    )


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 101])
def test_a_name_is_a_line_of_printable_text(run: Run, name: str) -> None:
    workspace_id = created(run, "Old")

    for arguments in (("create", name), ("rename", workspace_id, name)):
        result = run(*arguments)

        assert (result.exit_code, result.output) == (
            1,
            "Error: a workspace's name has 1 to 100 printable characters\n",
        )


# ----------------------------------------------------------------------------------------------------------- adoption


@pytest.fixture
def old(store: Store) -> list[str]:
    """Two workspaces of an older release: one has a token, the other has an item."""
    with_token, with_item = str(uuid4()), str(uuid4())
    create_token(store.table, NewToken(TokenKind.PERSONAL_ACCESS_TOKEN, [with_token]))
    Workspace(store.table, with_item).user_identity()
    return sorted([with_token, with_item])


def test_adoption_makes_workspaces_of_all_that_were_used_once(run: Run, store: Store, old: list[str]) -> None:
    first, second = run("adopt", "--yes", "--sandbox", old[1]), run("adopt", "--yes")

    assert first.stdout.splitlines() == [f"{old[0]} is adopted.", f"{old[1]} is adopted as a sandbox."]
    assert second.output == "Nothing is to be adopted.\n"
    found = {one.workspace_id: (one.name, one.is_sandbox) for one in workspaces.list_all(store.table)}
    assert found == {old[0]: (old[0], False), old[1]: (old[1], True)}
    assert violations(store.items()) == []


def test_an_adopted_workspace_keeps_its_name_and_kind(run: Run, old: list[str]) -> None:
    run("adopt", "--yes", "--sandbox", old[0])
    run("rename", old[0], "New")

    run("adopt", "--yes")

    told = json.loads(run("show", old[0], "--json").stdout)
    assert (told["name"], told["is_sandbox"]) == ("New", True)


def test_at_a_terminal_it_is_asked_of_each_whether_it_is_a_sandbox(
    store: Store, old: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrollments.workspaces.is_at_terminal", lambda: True)

    result = CliRunner().invoke(command, ["adopt", "--table-name", TABLE_NAME], input="\ny\n")

    assert result.exit_code == 0, result.output
    assert {one.workspace_id for one in workspaces.list_all(store.table) if one.is_sandbox} == {old[1]}


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_a_terminal_nothing_is_decided_silently(run: Run, store: Store, options: list[str]) -> None:
    result = run("adopt", *options)

    assert result.exit_code == 2
    assert "add --yes, and --sandbox ID for each sandbox" in " ".join(result.output.split())
    assert workspaces.list_all(store.table) == []


@pytest.mark.usefixtures("old")
def test_a_sandbox_that_is_not_to_be_adopted_is_refused_before_anything_is_adopted(run: Run, store: Store) -> None:
    unknown = str(uuid4())

    result = run("adopt", "--yes", "--sandbox", unknown)

    assert result.output == f"Error: {unknown} is no workspace that is to be adopted\n"
    assert workspaces.list_all(store.table) == []


def test_scripts_get_what_was_adopted(run: Run, old: list[str]) -> None:
    told = json.loads(run("adopt", "--yes", "--json").stdout)

    assert told == [{"workspace_id": one, "is_sandbox": False} for one in old]


def test_a_table_without_workspaces_has_nothing_to_adopt(run: Run) -> None:
    assert run("adopt", "--yes").output == "Nothing is to be adopted.\n"


def test_a_workspace_that_was_deleted_is_not_adopted(store: Store, run: Run) -> None:
    workspace_id = str(uuid4())
    create_token(store.table, NewToken(TokenKind.API_KEY, [workspace_id]))
    put_all(store.table, {deleted_workspace_key(workspace_id): {"workspace_id": workspace_id}})

    assert run("adopt", "--yes").output == "Nothing is to be adopted.\n"
