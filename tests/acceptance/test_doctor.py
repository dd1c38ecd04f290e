"""The doctor's launch in a workspace of its own: it works over HTTP, and nothing of it stays, also if it is killed."""

import json
from collections.abc import Mapping
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import Table
from enrollments.doctor import commands, smoke
from enrollments.doctor.findings import Verdict
from enrollments.main import main
from enrollments.running import RunningSystem
from tests.acceptance.conftest import IN_PROCESS, Service
from tests.items import by_key, in_moto

pytestmark = pytest.mark.skipif(not IN_PROCESS, reason="it looks into the table")

TABLE_NAME = "enrollments-Table"
# Of so many transactions of a doctor the last one, or one in its removal, is not sent.
KILLED_AT = range(1, 11)


def kept() -> dict[Key, Item]:
    """Return the table without marks of deletions, which stay for two days."""
    items = by_key(in_moto(TABLE_NAME))
    return {key: item for key, item in items.items() if not key.pk.startswith("DELETED_WORKSPACE#")}


@pytest.fixture
def table(service: Service) -> Table:
    return service.workspace.table


class Killed(BaseException):
    """The process ends here."""


def test_a_launch_is_good_and_nothing_of_it_stays(service: Service, table: Table) -> None:
    before = kept()

    launch, removal = smoke.smoke(table, service.base_url)

    assert (launch.about, launch.verdict) == ("smoke launch", Verdict.GOOD)
    assert removal.verdict is Verdict.GOOD
    assert "an event that is recorded after this ends by itself" in removal.found
    assert kept() == before


def test_its_mark_expires_by_itself(service: Service, table: Table) -> None:
    list(smoke.smoke(table, service.base_url))

    marks = [item for key, item in by_key(in_moto(TABLE_NAME)).items() if key.pk.startswith("DELETED_WORKSPACE#")]

    assert {"deleted_after", "finished_at"} <= marks[-1].keys()


def test_an_address_that_is_no_api_is_bad_and_nothing_stays(table: Table) -> None:
    before = kept()

    launch, _ = smoke.smoke(table, "http://127.0.0.1:1")

    assert (launch.verdict, "does not answer as this service" in launch.found) == (Verdict.BAD, True)
    assert kept() == before


class Answers(BaseRequestHandler):
    """Answers every request with the same bytes."""

    bytes_sent = b""

    def handle(self) -> None:
        self.request.recv(65_536)
        self.request.sendall(self.bytes_sent)


@pytest.mark.parametrize(
    "answer",
    [
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 500 Error\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"[" * 90_000,
        b"HTTP/1.1 500 Error\r\nContent-Length: 90000\r\n\r\n" + b"[" * 90_000,
    ],
)
def test_an_address_of_something_else_is_bad_whatever_it_answers(table: Table, answer: bytes) -> None:
    handler = type("Handler", (Answers,), {"bytes_sent": answer})
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()

        launch, _ = smoke.smoke(table, f"http://127.0.0.1:{server.server_address[1]}")

        server.shutdown()
    assert launch.verdict is Verdict.BAD


def test_a_doctor_whose_requests_may_still_be_answered_is_waited_for(
    service: Service, table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(smoke, "sleep", waits.append)
    with monkeypatch.context() as killing:
        killing.setattr(smoke, "remove", lambda *_: None)
        list(smoke.smoke(table, service.base_url))

    list(smoke.remove_earlier(table))

    assert 4 * 30 < waits[0] <= 150
    assert "waiting" in capsys.readouterr().err


def test_an_api_of_another_table_is_bad_and_says_where_to_look(
    service: Service, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "create_token", lambda *_: f"seam_test1234_{'1' * 24}")

    launch, _ = smoke.smoke(table, service.base_url)

    assert (launch.verdict, "answered 401 unauthorized" in launch.found) == (Verdict.BAD, True)
    assert "does the address belong to this table?" in launch.remedy


@pytest.mark.parametrize("count", KILLED_AT)
def test_what_a_doctor_left_that_was_killed_is_removed_by_the_next(
    service: Service, table: Table, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    before, transactions = kept(), iter(range(count))
    transact = table.transact

    def transact_until_killed(actions: Mapping[str, Any]) -> Any:
        if next(transactions, None) is None:
            raise Killed
        return transact(actions)

    with monkeypatch.context() as killing:
        killing.setattr(table, "transact", transact_until_killed)
        with pytest.raises(Killed):
            list(smoke.smoke(table, service.base_url))
    monkeypatch.setattr(smoke, "sleep", lambda _: None)

    (removed,) = smoke.remove_earlier(table)

    assert removed.verdict is Verdict.GOOD
    assert kept() == before


def test_without_a_stack_the_system_of_make_run_is_looked_at(
    service: Service, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = RunningSystem("http://127.0.0.1:1", table.name, service["SEAM_WORKSPACE_ID"], 1, service.base_url)
    monkeypatch.setattr(commands, "find_running", lambda: running)
    monkeypatch.setattr(commands, "local_client", lambda _: table.client)

    result = CliRunner().invoke(main, ["doctor", "--json"])

    found = {finding["about"]: finding["verdict"] for finding in json.loads(result.stdout)}
    assert result.exit_code == 0, result.output
    assert {"system", "table", "tokens", "smoke launch", "its removal"} <= {
        about for about, verdict in found.items() if verdict == "good"
    }
    assert found["rights"] == found["age of the stream"] == "not looked at"
