"""``enrollments directory``: what goes in comes out, and what is wrong is a clear line."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import UUID

import pytest
import requests
from click.testing import CliRunner, Result

from enrollment.callers import Caller
from enrollment.errors import ServiceUnavailable
from enrollment.resources.acs_systems import ListAcsSystemsRequest
from enrollment.store.table import Table
from enrollment.use_cases.acs_systems import list_systems
from enrollments.directory.commands import directory
from tests.fixtures import TABLE_NAME, Store, Workspace
from tests.spreadsheet import opened_and_saved

pytestmark = pytest.mark.long

COMMAND = Path(sys.executable).parent / "enrollments"

type Run = Callable[..., Result]
type Row = dict[str, Any]


@pytest.fixture
def run(workspace: Workspace) -> Run:
    workspace.exist()

    def run_(name: str, *arguments: object, **more: Any) -> Result:
        options = ["--table-name", TABLE_NAME, "--workspace-id", workspace.workspace_id]
        result = CliRunner().invoke(directory, [name, *options, *map(str, arguments)], **more)
        assert "Traceback" not in result.output
        return result

    return run_


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes rows, or a text, to a file."""

    def write_(*rows: Row | str, name: str = "directory.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("".join(f"{line}\n" for line in lines), newline="")
        os.utime(path, (1_700_000_000.25, 1_700_000_000.25))
        return path

    return write_


def identifier(number: int) -> str:
    return str(UUID(int=number, version=4))


def a_directory(people: int = 3) -> list[Row]:
    manager = {
        "acs_system_id": identifier(1),
        "name": 'Main "Tower", é',
        "is_credential_manager": True,
        "connected_account_id": identifier(9),
        "location": {"time_zone": "Europe/Berlin"},
        "external_type": "hid_credential_manager_organization",
        "external_type_display_name": "HID organization",
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    garage = {
        "acs_system_id": identifier(2),
        "name": "Garage\nlevel 1",
        "is_credential_manager": False,
        "connected_account_id": identifier(9),
        "image_url": "https://example.com/garage.png",
        "image_alt_text": "A garage",
        "default_credential_manager_acs_system_id": identifier(1),
        "compatible_credential_manager_acs_system_ids": [identifier(1), identifier(3)],
        "customer_key": "=1+1",
    }
    pool = {"acs_credential_pool_id": identifier(1), "acs_system_id": identifier(1), "display_name": "Mobile"}
    users: list[Row] = [
        {
            "acs_user_id": identifier(number),
            "acs_system_id": identifier(1 + number % 2),
            "full_name": f"Person {number}",
            "email_address": f"Person.{number}@example.com",
            "phone_number": f"+1555{number:07}",
        }
        for number in range(people)
    ]
    users[0]["access_schedule"] = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"}
    return [manager, garage, pool, *users]


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
    return "\n".join(lines)


def test_an_import_says_what_it_has_done_and_the_second_one_that_there_was_nothing_to_do(
    run: Run, write: Callable[..., Path], store: Store
) -> None:
    path = write(*a_directory())

    first = run("import", path)
    items = store.items()
    second = run("import", path)

    assert (first.exit_code, first.output) == (0, "6 rows: 6 created, 0 updated, 0 unchanged, 0 bad.\n")
    assert (second.exit_code, second.output) == (0, "6 rows: 0 created, 0 updated, 6 unchanged, 0 bad.\n")
    assert store.items() == items


def test_what_is_imported_is_what_the_api_answers(run: Run, write: Callable[..., Path], workspace: Workspace) -> None:
    run("import", write(*a_directory()))

    systems = list_systems(workspace.table, Caller(workspace.workspace_id), ListAcsSystemsRequest()).records

    assert [(system.name, system.location.time_zone, system.created_at) for system in systems] == [
        ('Main "Tower", é', "Europe/Berlin", "2026-01-01T00:00:00.000Z"),
        # Its row says nothing about that: it is as old as the file.
        ("Garage\nlevel 1", None, "2023-11-14T22:13:20.250Z"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "message"),
    [
        ("a.txt", "", 2, "name the format of"),
        ("a.csv", "name\nx\n", 1, "a.csv:1: the first line must name the columns"),
        ("a.csv", "", 1, "a.csv:1: is empty: the first line must name the columns"),
        ("a.jsonl", "", 0, "0 rows: 0 created"),
        ("a.json", "[]", 1, "a.json:1: is a JSON array"),
        (
            "a.xlsx",
            "PK\x03\x04",
            1,
            "a.xlsx:1: is a workbook (.xlsx, .ods) or another zip archive; save the sheet as CSV",
        ),
        ("a.csv", "PK\x03\x04", 1, "a.csv:1: is a workbook"),
    ],
)
def test_a_file_that_is_none_of_rows_is_a_clear_line(
    run: Run, tmp_path: Path, name: str, content: str, exit_code: int, message: str
) -> None:
    (tmp_path / name).write_text(content)

    result = run("import", tmp_path / name)

    assert (result.exit_code, message in result.output) == (exit_code, True)


PERSON = {"acs_user_id": identifier(0), "acs_system_id": identifier(1)}


def test_a_bad_row_is_a_line_with_file_line_field_and_reason_and_the_others_are_read(
    run: Run, write: Callable[..., Path]
) -> None:
    run("import", write(*a_directory()))
    path = write(
        "acs_user_id,full_name,phone_number",
        f"{identifier(0)},Ann,15550000000",
        f"{identifier(1)},Bob,+15550000001,more",
        f"{identifier(2)},Person 2",
        name="people.csv",
    )

    result = run("import", path)

    assert result.exit_code == 1
    assert result.stdout == "3 rows: 0 created, 1 updated, 0 unchanged, 2 bad; 1 value removed.\n"
    assert result.stderr.splitlines() == [
        f"{path}:2: phone_number: Invalid phone number: its + is missing. Spreadsheets drop it: "
        "format the column as text and enter the number again, for example +15550100000",
        f"{path}:3: row: Cell 4 is not empty, but the first line names no column for it",
    ]


def test_removed_values_are_in_the_summary_for_scripts(run: Run, write: Callable[..., Path]) -> None:
    run("import", write(*a_directory()))

    result = run("import", write(PERSON | {"email_address": None, "access_schedule": None}), "--json")

    assert json.loads(result.stdout) == {
        "rows": 1,
        "created": 0,
        "updated": 1,
        "unchanged": 0,
        "bad": 0,
        "removed_values": 3,
        "dry_run": False,
        "is_complete": True,
    }


MISTYPED = ("acs_user_id,acs_system_id,full_name,emial_address", f"{identifier(0)},{identifier(1)},Ann,a@example.com")


def test_a_mistyped_column_is_a_warning_and_removes_nothing(run: Run, write: Callable[..., Path], store: Store) -> None:
    run("import", write(*a_directory()))
    before = store.items()
    path = write(*MISTYPED, name="people.csv")

    result = run("import", "--dry-run", path)

    assert (result.exit_code, store.items()) == (0, before)
    assert result.stderr == (
        f"Warning: {path}:1: emial_address: unknown column (did you mean email_address?), not used\n"
    )
    assert result.stdout == "Dry run, nothing was written: 1 row: 0 created, 1 updated, 0 unchanged, 0 bad.\n"


def test_a_mistyped_column_refuses_the_file_if_that_is_asked_for(
    run: Run, write: Callable[..., Path], store: Store
) -> None:
    run("import", write(*a_directory()))
    before = store.items()
    path = write(*MISTYPED, name="people.csv")

    result = run("import", "--strict", path)

    assert (result.exit_code, store.items()) == (1, before)
    assert result.output == (
        f"Error: {path}:1: emial_address: unknown column (did you mean email_address?). Nothing was imported\n"
    )


def test_a_mistyped_property_is_a_warning_once(run: Run, write: Callable[..., Path]) -> None:
    run("import", write(*a_directory()))
    path = write(*({"acs_user_id": identifier(number), "name": "x", "Zimmer": 7} for number in range(3)))

    result = run("import", path)

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        f"Warning: {path}:1: name: unknown property of an acs_user (did you mean full_name?), not used",
        f"Warning: {path}:1: Zimmer: unknown property of an acs_user, not used",
    ]


def test_a_mistyped_property_refuses_its_row_if_that_is_asked_for(run: Run, write: Callable[..., Path]) -> None:
    run("import", write(*a_directory()))
    path = write(PERSON | {"full_name": "Ann"}, {"acs_user_id": identifier(1), "mail": "a@example.com"})

    result = run("import", "--strict", path)

    assert result.output == (
        f"{path}:2: mail: unknown property of an acs_user (did you mean email_address?)\n"
        "2 rows: 0 created, 1 updated, 0 unchanged, 1 bad.\n"
    )


def test_names_are_warned_of_as_long_as_there_are_not_too_many(run: Run, write: Callable[..., Path]) -> None:
    run("import", write(*a_directory()))

    result = run("import", write(PERSON | {f"{number} {'x' * 1000}": 1 for number in range(100)}))

    lines = result.stderr.splitlines()
    assert len(lines) == 51
    assert max(map(len, lines)) < 400
    assert lines[-1].endswith(":1: more names: not used; this is the last warning of this kind")


def test_what_is_written_to_a_terminal_holds_no_control_characters(run: Run, write: Callable[..., Path]) -> None:
    result = run("import", "--strict", write("acs_user_id,a\x1b[2J", name="a.csv"))

    assert "a\\x1b[2J: unknown column" in result.output


# ---------------------------------------------------------------------------------------------------------- Export


@pytest.mark.parametrize("name", ["export.jsonl", "export.csv"])
def test_an_export_imported_into_an_empty_table_exports_the_same_bytes(
    run: Run, write: Callable[..., Path], store: Store, tmp_path: Path, name: str
) -> None:
    empty = store.items()
    run("import", write(*a_directory(people=12)))
    items, path, again = store.items(), tmp_path / name, tmp_path / f"again-{name}"

    assert run("export", "-o", path).exit_code == 0
    store.restore(empty)
    imported = run("import", path)
    run("export", "--output", again)

    assert imported.output == "15 rows: 15 created, 0 updated, 0 unchanged, 0 bad.\n"
    assert store.items() == items
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["export.jsonl", "export.csv"])
def test_an_export_restores_what_was_there_removals_included(
    run: Run, write: Callable[..., Path], store: Store, tmp_path: Path, name: str
) -> None:
    rows = a_directory()
    run("import", write(*rows))
    items, path = store.items(), tmp_path / name
    run("export", "-o", path)
    added = {"image_url": "https://example.com/a.png", "customer_key": "c", "external_type": "pti_site"}
    schedule = {"access_schedule": {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"}}
    run("import", write(rows[0] | added, rows[3] | {"full_name": "x", "phone_number": None}, rows[4] | schedule))

    result = run("import", path)

    assert result.output == "6 rows: 0 created, 3 updated, 3 unchanged, 0 bad; 4 values removed.\n"
    assert store.items() == items


@pytest.mark.parametrize("separator", [",", ";"])
def test_an_export_survives_a_spreadsheet(
    run: Run, write: Callable[..., Path], store: Store, tmp_path: Path, separator: str
) -> None:
    empty = store.items()
    rows = a_directory(people=12)
    for row, name in zip(rows[3:], ["=1+1", "'t Hooft", "007", "1/2", "TRUE", "- ", "+1", "Mar 1", "é"], strict=False):
        row["full_name"] = name
    run("import", write(*rows))
    items, path = store.items(), tmp_path / "export.csv"

    run("export", "-o", path)
    saved = opened_and_saved(path.read_text(), separator=separator)
    path.write_text(saved, encoding="utf-8-sig", newline="")
    unchanged = run("import", path)
    store.restore(empty)
    created = run("import", path)

    assert unchanged.output == "15 rows: 0 created, 0 updated, 15 unchanged, 0 bad.\n"
    assert created.output == "15 rows: 15 created, 0 updated, 0 unchanged, 0 bad.\n"
    assert store.items() == items


def test_an_export_writes_every_property(run: Run, workspace: Workspace) -> None:
    manager = workspace.credential_manager()
    workspace.acs_user(manager)

    (system, user) = (json.loads(line) for line in run("export").stdout.splitlines())

    assert [name for name in ("customer_key", "external_type", "location") if name not in system] == []
    assert (system["customer_key"], system["location"]) == (None, {"time_zone": None})
    assert (user["email_address"], user["access_schedule"]) == (None, None)


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv.gz"])
def test_an_export_is_not_what_its_name_promises_otherwise(run: Run, tmp_path: Path, name: str) -> None:
    result = run("export", "-o", tmp_path / name)

    assert result.exit_code == 2
    assert "an export is JSON Lines or CSV; name it .jsonl or .csv" in " ".join(result.output.split())


def test_an_export_has_parents_first_and_links_are_not_in_it(run: Run, workspace: Workspace) -> None:
    manager = workspace.credential_manager(name="Main Tower", created_at="2026-01-01T00:00:00.000Z")
    pool = workspace.acs_credential_pool(manager)
    garage = workspace.acs_system(name="Garage", created_at="2026-02-01T00:00:00.000Z")
    user = workspace.acs_user(garage, full_name="Jane Doe")

    rows = [json.loads(line) for line in run("export").stdout.splitlines()]

    ids = [
        next(row[name] for name in ("acs_credential_pool_id", "acs_user_id", "acs_system_id") if name in row)
        for row in rows
    ]
    assert ids == [manager, garage, pool, user]
    assert rows[0]["connected_account_ids"] == [rows[0]["connected_account_id"]]
    assert rows[3]["workspace_id"] == workspace.workspace_id


@pytest.mark.parametrize(
    ("kinds", "count"), [(["acs_system"], 2), (["acs_credential_pool"], 1), (["acs_user", "acs_system"], 5)]
)
def test_an_export_can_be_of_some_kinds(run: Run, write: Callable[..., Path], kinds: Sequence[str], count: int) -> None:
    run("import", write(*a_directory()))

    options = [option for kind in kinds for option in ("--kind", kind)]

    assert len(run("export", *options).stdout.splitlines()) == count


def test_an_export_that_fails_leaves_the_file_as_it_was(
    run: Run, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.acs_system()
    path = tmp_path / "directory.jsonl"
    path.write_text("as it was")
    monkeypatch.setattr(Table, "get_all", lose)

    result = run("export", "-o", path)

    assert result.exit_code == 1
    assert [file.name for file in tmp_path.iterdir()] == ["directory.jsonl"]
    assert path.read_text() == "as it was"


def test_an_export_to_where_nothing_can_be_is_a_clear_line(run: Run, tmp_path: Path) -> None:
    result = run("export", "-o", tmp_path / "nowhere" / "directory.jsonl")

    assert (result.exit_code, result.output) == (
        1,
        f"Error: {tmp_path}/nowhere/directory.jsonl: No such file or directory\n",
    )


# ----------------------------------------------------------------------------------------------------- Interrupted


def lose(*_: object) -> None:
    raise ServiceUnavailable from ConnectionError("Could not connect.")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("cut", "why"), [(lose, "Could not connect"), (interrupt, "interrupted")])
def test_an_import_that_is_cut_short_says_how_far_it_got_and_goes_on_when_it_is_run_again(
    run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, cut: Callable[..., None], why: str
) -> None:
    path = write(*a_directory(people=50))
    transact, transactions = Table.transact, iter([True, True])

    def transact_twice(table: Table, actions: Mapping[str, Any]) -> Any:
        return transact(table, actions) if next(transactions, False) else cut()

    with monkeypatch.context() as patch:
        patch.setattr(Table, "transact", transact_twice)
        result = run("import", path, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["is_complete"], told["bad"]) == (False, 0)
    assert 0 < told["created"] < 53
    assert result.stderr == (
        f"Error: {why}; before that, {told['created']} rows: {told['created']} created, 0 updated, 0 unchanged, 0 bad; "
        "to resume, import the file again\n"
    )
    assert run("import", path).output == (
        f"53 rows: {53 - told['created']} created, 0 updated, {told['created']} unchanged, 0 bad.\n"
    )


class Database(HTTPServer):
    """This process's moto for other processes, one request after another."""

    def __init__(self, store: Store) -> None:
        super().__init__(("127.0.0.1", 0), _ForwardToMoto)
        self.url = f"https://dynamodb.{store.client.meta.region_name}.amazonaws.com"
        self._transactions = 0
        self._victims: Queue[tuple[subprocess.Popen[bytes], signal.Signals]] = Queue()

    def signal_at_second_transaction(self, process: subprocess.Popen[bytes], signal_: signal.Signals) -> None:
        """Send a process a signal while it waits for an answer: its transaction is done all the same."""
        self._victims.put((process, signal_))

    def count(self, target: str) -> None:
        self._transactions += target.endswith("TransactWriteItems")
        if self._transactions == 2:
            process, signal_ = self._victims.get(timeout=60)
            process.send_signal(signal_)
            process.wait()


class _ForwardToMoto(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Database)
        self.server.count(self.headers["X-Amz-Target"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: self.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization")}
        answer = requests.post(self.server.url, body, headers=headers, timeout=10)
        with suppress(ConnectionError):  # nobody is left who reads it
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def database(store: Store) -> Iterator[Database]:
    with Database(store) as database:
        thread = threading.Thread(target=database.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield database
        database.shutdown()
        thread.join()


@pytest.fixture
def command_line(database: Database, workspace: Workspace) -> list[str]:
    workspace.exist()
    table = ["--table-name", TABLE_NAME, "--endpoint-url", f"http://127.0.0.1:{database.server_port}"]
    return [str(COMMAND), "directory", "import", *table, "--workspace-id", workspace.workspace_id]


def test_an_import_that_is_killed_and_run_again_ends_in_the_same_state(
    run: Run, write: Callable[..., Path], store: Store, command_line: list[str], database: Database
) -> None:
    empty = store.items()
    path = write(*a_directory(people=50))

    with subprocess.Popen([*command_line, str(path)]) as process:  # noqa: S603 - our own command
        database.signal_at_second_transaction(process, signal.SIGKILL)
    database.shutdown()  # when it has done what it was asked
    killed = store.items()
    run("import", path)
    resumed = store.items()
    store.restore(empty)
    run("import", path)

    assert process.returncode == -signal.SIGKILL
    assert 0 < len(killed) < len(resumed)
    assert store.items() == resumed


def read_all(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # the end of what a terminal's other side has written
        while some := os.read(terminal, 10_000):
            shown += some
    os.close(terminal)
    return shown.decode()


def test_ctrl_c_in_a_terminal_shows_how_far_it_got_and_no_traceback(
    write: Callable[..., Path], command_line: list[str], database: Database
) -> None:
    path = write("x", *a_directory(people=50))
    terminal, stderr = pty.openpty()

    with subprocess.Popen([*command_line, str(path)], stderr=stderr) as process:  # noqa: S603 - our own command
        os.close(stderr)
        database.signal_at_second_transaction(process, signal.SIGINT)
    shown = read_all(terminal)
    database.shutdown()  # when it has done what it was asked

    assert process.returncode == 1
    assert "Traceback" not in shown
    assert "Error: interrupted; before that, " in shown
    assert f"\r\x1b[K{path}:1: row: Invalid JSON\r\n" in shown
    assert "Importing  [" in shown


# -------------------------------------------------------------------------------------------------------- Of any length


def test_memory_does_not_grow_with_the_file(
    run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Table, "batch_get", lambda *_: {})  # moto, which would be measured too, is not asked

    def peak(people: int) -> int:
        path = write(*a_directory(people))
        tracemalloc.start()
        result = run("import", "--dry-run", path)
        (_, bytes_at_most) = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result.stdout.startswith(f"Dry run, nothing was written: {people + 3:,} rows: {people + 3:,} created")
        return bytes_at_most

    peak(1)

    assert peak(5000) < peak(500) + 2_000_000  # of 20,000,000 that 5,000 rows would take
