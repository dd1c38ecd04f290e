"""`enrollments connectors`: what an operator does with connectors, and what is printed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from enrollment.managers.protocol import NoAccessError, Request
from enrollment.secrets import connector_secret
from enrollment.store.actions import put
from enrollment.store.keys import connector_pools_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId, live_secret_versions
from enrollments.connectors.commands import connectors
from enrollments.local.demo import CONNECTORS_SECRET
from enrollments.provisioning import provisioning as provisioning_command
from local_aws.moto_server import serve_moto
from tests.fixtures import Store, Workspace, create_table
from tests.integration.conftest import Directory
from tests.provisioning import Clock, Provisioning

URL, OTHER_URL = "https://93.184.215.14/connector", "https://93.184.215.14/other"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
MADE, CHECKED, LATER = "2026-11-01T10:00:00.000Z", "2026-11-20T10:00:00.000Z", "2100-01-01T00:00:00.000Z"

type Run = Callable[..., Result]


@pytest.fixture
def manager_id(workspace: Workspace) -> str:
    workspace.exist()
    return workspace.credential_manager()


@pytest.fixture
def run(store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a stack whose secret is the one of this machine."""
    monkeypatch.setattr("enrollments.master_secrets.secret_of_stack", lambda *_: CONNECTORS_SECRET.encode())
    monkeypatch.setattr("enrollments.target.table_of_stack", lambda *_: store.table.name)

    def run_(command: str, *arguments: str) -> Result:
        options = ["--stack-name", "s", "--workspace-id", workspace.workspace_id]
        return CliRunner().invoke(connectors, [command, *options, *arguments], catch_exceptions=False)

    return run_


@pytest.fixture
def secret_of(store: Store, workspace: Workspace) -> Callable[[str], str]:
    """Returns the signing secret that a credential manager's connector has now."""

    def secret(manager_id: str) -> str:
        item = store.items()[ConnectorId(workspace.workspace_id, manager_id).key]
        version = str(item["secret_version"])
        return connector_secret(CONNECTORS_SECRET.encode(), workspace.workspace_id, manager_id, version)

    return secret


# ------------------------------------------------------------------------------------------------- Setting and rotating


def test_the_signing_secret_is_all_that_setting_prints_to_standard_output(
    run: Run, manager_id: str, secret_of: Callable[[str], str]
) -> None:
    result = run("set", manager_id, URL)

    assert (result.exit_code, result.stdout) == (0, f"{secret_of(manager_id)}\n")
    assert result.stderr.splitlines() == [
        "The connector is set.",
        "Its signing secret, for its owner only:",
        "The service now asks it manager.check; `enrollments connectors show` has the answer.",
        "Enrollments that are looked at again: 0.",
    ]


@pytest.mark.parametrize("command", ["set", "resume"])
def test_a_manager_that_has_too_much_to_do_is_told_to_be_paused(
    run: Run, workspace: Workspace, manager_id: str, command: str
) -> None:
    run("set", manager_id, URL)
    workspace.pause(manager_id, reason="busy", paused_at=MADE, paused_until=LATER)

    result = run(command, manager_id, *[URL][: command == "set"])

    assert result.stderr.splitlines()[-2] == (
        "The credential manager is paused until 2100-01-01 00:00:00 UTC: it has too much to do (it answered 429 or "
        "503). Nothing is asked until then."
    )
    assert "The service now asks it" not in result.output


def test_the_secret_is_nowhere_else(run: Run, manager_id: str, secret_of: Callable[[str], str], store: Store) -> None:
    run("set", manager_id, URL)
    secret = secret_of(manager_id)
    texts = [run("show").output, run("show", "--json").output, run("pause", manager_id).output]
    texts += [run("resume", manager_id).output, run("set", manager_id, URL).stderr, run("rotate", manager_id).output]

    texts.append(str(store.items()))

    assert not [text for text in texts if secret.removeprefix("whsec_") in text]


def test_setting_another_address_prints_the_secret_that_is_kept(
    run: Run, manager_id: str, secret_of: Callable[[str], str]
) -> None:
    run("set", manager_id, URL)
    secret = secret_of(manager_id)

    result = run("set", manager_id, OTHER_URL)

    assert result.stdout == f"{secret}\n"
    assert result.stderr.startswith("The connector has another address, and keeps its signing secret. If its owner ")


def test_setting_the_same_address_says_that_nothing_changes(run: Run, manager_id: str) -> None:
    run("set", manager_id, URL)

    result = run("set", manager_id, URL)

    assert result.stderr.startswith("The connector has this address already, and keeps its signing secret.\n")


def test_setting_a_paused_connector_says_that_nothing_is_asked(run: Run, manager_id: str) -> None:
    run("set", manager_id, URL)
    run("pause", manager_id)

    result = run("set", manager_id, OTHER_URL)

    last = "An operator has paused it, so nothing is asked until: enrollments connectors resume"
    assert result.stderr.splitlines()[-1] == last


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://[::1]/?key=hidden", "https://10.0.0.1/?key=hidden"])
def test_an_address_that_is_not_public_is_refused_in_one_line(
    run: Run, manager_id: str, store: Store, url: str
) -> None:
    before = store.items()

    result = run("set", manager_id, url)

    assert (result.exit_code, result.stdout, store.items()) == (1, "", before)
    assert result.stderr.startswith("Error: the address is refused: Must ")
    assert result.stderr.endswith("; a connector needs an https address on the public internet\n")
    assert "hidden" not in result.stderr


def test_an_unknown_system_is_refused_in_one_line(run: Run, manager_id: str) -> None:
    result = run("set", UNKNOWN, URL)

    assert manager_id
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no such ACS system in the workspace; ")


def test_a_sandbox_is_refused_in_one_line(run: Run, workspace: Workspace) -> None:
    workspace.become_sandbox()

    result = run("set", workspace.credential_manager(), URL)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: the workspace is a sandbox, in which every credential manager is simulated")


def test_a_table_alone_has_no_secret_so_nothing_is_set(store: Store, workspace: Workspace, manager_id: str) -> None:
    before = store.items()
    options = ["--table-name", store.table.name, "--workspace-id", workspace.workspace_id]

    result = CliRunner().invoke(connectors, ["set", *options, manager_id, URL])

    assert (result.exit_code, store.items()) == (2, before)
    assert "a connector's signing secret is derived from a secret of the stack: --stack-name" in result.stderr


def test_the_public_secret_is_not_for_a_table_that_has_a_region(
    store: Store, workspace: Workspace, manager_id: str
) -> None:
    endpoint = ["--endpoint-url", "https://dynamodb.us-east-1.amazonaws.com", "--region", "us-east-1"]
    options = ["--table-name", store.table.name, *endpoint, "--workspace-id", workspace.workspace_id]

    result = CliRunner().invoke(connectors, ["set", *options, manager_id, URL])

    assert result.exit_code == 2
    assert "a connector's signing secret is derived from a secret of the stack: --stack-name" in result.stderr


def test_on_this_machine_a_connector_may_be_so_too() -> None:
    with serve_moto("127.0.0.1") as moto:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        client: Any = session.client("dynamodb", endpoint_url=moto.url)
        workspace = Workspace(create_table(client, "local"), UNKNOWN)
        workspace.exist()
        manager_id = workspace.credential_manager()
        where = ["--table-name", "local", "--endpoint-url", moto.url, "--workspace-id", UNKNOWN]

        result = CliRunner().invoke(connectors, ["set", *where, manager_id, "http://127.0.0.1:8080/"])
        client.close()

    assert (result.exit_code, result.stdout[:6]) == (0, "whsec_")


def test_rotating_prints_the_new_secret_and_until_when_the_former_one_counts(
    run: Run, manager_id: str, secret_of: Callable[[str], str], store: Store, workspace: Workspace
) -> None:
    run("set", manager_id, URL)

    result = run("rotate", manager_id)

    item = store.items()[ConnectorId(workspace.workspace_id, manager_id).key]
    in_a_day = datetime.now(UTC) + timedelta(hours=23, minutes=59)
    assert result.stdout == f"{secret_of(manager_id)}\n"
    assert f"until {in_a_day:%Y-%m-%d}" in result.stderr
    assert len(live_secret_versions(item, in_a_day)) == 2


def test_rotating_at_once_ends_the_former_secret(run: Run, manager_id: str, store: Store, workspace: Workspace) -> None:
    run("set", manager_id, URL)

    result = run("rotate", manager_id, "--at-once")

    item = store.items()[ConnectorId(workspace.workspace_id, manager_id).key]
    assert "Requests are signed with this secret only." in result.stderr
    assert len(live_secret_versions(item, datetime.now(UTC))) == 1


def test_at_once_leaves_no_overlap(run: Run, manager_id: str) -> None:
    result = run("rotate", manager_id, "--at-once", "--overlap", "3")

    assert result.exit_code == 2
    assert "--at-once leaves no time for an --overlap" in result.stderr


@pytest.mark.parametrize("command", ["show", "rotate", "remove", "pause", "resume"])
def test_a_manager_without_a_connector_is_told_in_one_line(run: Run, manager_id: str, command: str) -> None:
    result = run(command, manager_id)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: this credential manager has no connector; `enrollments connectors set` gives it one\n"
    )


def test_removing_says_what_still_happens(run: Run, manager_id: str) -> None:
    run("set", manager_id, URL)

    result = run("remove", manager_id)

    assert result.stdout == (
        "The connector is removed. A request that is under way may still reach it for 30 s. Phones and credentials at "
        "this credential manager wait from now on, and keep what they have there.\n"
    )
    assert run("show").stderr == "No connectors.\n"


# ------------------------------------------------------------------------------------------------------------- Going on


@pytest.fixture
def provisioning(store: Store) -> Provisioning:
    # All that happens before the command was yesterday, because the command goes by the real time.
    found = Provisioning(store.table, store.items, clock=Clock(datetime.now(UTC) - timedelta(days=1)))
    found.connector_of = lambda *_: Ready()
    return found


class Ready:
    """A connector that does everything at once."""

    def ask(self, request: Request) -> dict[str, Any]:
        if request.type == "manager.check":
            return {"keeps_validity": True, "pools": [{"pool": "Staff", "available": 3}, {"pool": "Guests"}]}
        return {"state": "active", "acs_credential_id": request.data.get("acs_credential_id")}


@pytest.fixture
def waiting_phone(workspace: Workspace, directory: Directory, manager_id: str) -> str:
    """The id of a phone whose person has an automation with the manager."""
    identity_id = workspace.user_identity()
    directory.launch(identity_id, manager_id)
    return workspace.phone(identity_id)


def test_a_phone_that_waits_for_a_connector_is_registered_once_it_is_set(
    run: Run, provisioning: Provisioning, directory: Directory, waiting_phone: str, manager_id: str
) -> None:
    provisioning.settle()

    result = run("set", manager_id, URL)

    provisioning.clock.at = datetime.now(UTC)
    provisioning.settle()
    phone = directory.phone(waiting_phone)
    assert result.stderr.splitlines()[-1] == "Enrollments that are looked at again: 1."
    assert phone.properties.assa_abloy_credential_service_metadata.has_active_endpoint


def test_a_phone_that_waits_for_a_paused_connector_is_registered_once_it_is_resumed(
    run: Run, provisioning: Provisioning, directory: Directory, waiting_phone: str, manager_id: str
) -> None:
    run("set", manager_id, URL)
    paused = run("pause", manager_id)
    provisioning.settle()

    result = run("resume", manager_id)

    provisioning.clock.at = datetime.now(UTC)
    provisioning.settle()
    assert paused.stdout.startswith("The connector is paused since ")
    assert result.stdout == "The connector is resumed.\n"
    assert result.stderr.splitlines()[-1] == "Enrollments that are looked at again: 1."
    assert directory.phone(waiting_phone).properties.assa_abloy_credential_service_metadata.has_active_endpoint


def test_a_connector_that_let_nobody_in_is_asked_at_once_when_it_is_set_again(
    run: Run, provisioning: Provisioning, directory: Directory, waiting_phone: str, manager_id: str
) -> None:
    provisioning.clock.at = datetime.now(UTC)
    provisioning.connector_of = lambda *_: Locked()
    run("set", manager_id, URL)
    provisioning.settle(minutes=1)
    provisioning.connector_of = lambda *_: Ready()

    run("set", manager_id, URL)

    provisioning.settle(minutes=2)  # the pause would be five minutes
    assert directory.phone(waiting_phone).properties.assa_abloy_credential_service_metadata.has_active_endpoint


class Locked:
    """A connector that lets nobody in."""

    def ask(self, _: Request) -> dict[str, Any]:
        raise NoAccessError


@pytest.mark.usefixtures("waiting_phone")
def test_people_at_another_manager_are_left_alone(run: Run, workspace: Workspace) -> None:
    other = workspace.credential_manager()

    result = run("set", other, URL)

    assert result.stderr.splitlines()[-1] == "Enrollments that are looked at again: 0."


@pytest.mark.usefixtures("waiting_phone")
def test_a_long_run_says_how_far_it_is(run: Run, manager_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrollments.connectors.operating._TOLD_EVERY", 1)

    result = run("set", manager_id, URL)

    assert "Enrollments looked at: 1 of 1." in result.stderr


# -------------------------------------------------------------------------------------------------------------- Showing


@pytest.fixture
def shown(store: Store, workspace: Workspace, manager_id: str) -> str:
    """The id of a manager with a connector of which much is to be shown."""
    workspace.connect(
        manager_id,
        set_at=MADE,
        secret_version=CHECKED,
        former_secrets=frozenset({f"{MADE} {LATER}", f"{MADE} {MADE}"}),
        checked_at=CHECKED,
        keeps_validity=True,
        one_step=False,
        abilities_changed_at=CHECKED,
        asked_at=CHECKED,
        unanswered_since=CHECKED,
        unanswered_because="status_502",
        paused_at=CHECKED,
    )
    workspace.pause(manager_id, reason="disconnected", paused_at=CHECKED, paused_until=LATER)
    pools = {"pools": json.dumps([{"pool": "Staff", "available": 3}, {"pool": "Guests", "available": None}])}
    store.table.transact({"pools": put(connector_pools_key(workspace.workspace_id, manager_id), pools)})
    return manager_id


def test_a_connector_is_shown_in_plain_words(run: Run, shown: str) -> None:
    result = run("show", shown)

    assert result.stdout.splitlines() == [
        f"ACS system       {shown}",
        "URL              https://example.com/connector, since 2026-11-01 10:00:00 UTC",
        "manager.check    keeps validity; issues in a step of its own; answered 2026-11-20 10:00:00 UTC",
        "changed          told 2026-11-20 10:00:00 UTC that it can do something else; "
        "`enrollments connectors set` with the same URL has its phones follow",
        "unanswered       since 2026-11-20 10:00:00 UTC: it answered with the HTTP status 502",
        "paused           by an operator, since 2026-11-20 10:00:00 UTC, until it is resumed",
        "paused           by itself: it refuses this service's requests (it answered 401 or 403); "
        "since 2026-11-20 10:00:00 UTC, until 2100-01-01 00:00:00 UTC",
        "pool             Staff: 3 left",
        "pool             Guests: does not say how many are left",
        "signing secret   made 2026-11-20 10:00:00 UTC",
        "former secret    made 2026-11-01 10:00:00 UTC, counts until 2100-01-01 00:00:00 UTC",
    ]


def test_json_has_all_but_secrets(run: Run, shown: str) -> None:
    result = run("show", "--json")

    assert json.loads(result.stdout) == [
        {
            "acs_system_id": shown,
            "url": "https://example.com/connector",
            "set_at": MADE,
            "paused_at": CHECKED,
            "checked_at": CHECKED,
            "keeps_validity": True,
            "one_step": False,
            "abilities_changed_at": CHECKED,
            "asked_at": CHECKED,
            "next_check_at": None,
            "unanswered_since": CHECKED,
            "unanswered_because": "status_502",
            "manager_pause": {"reason": "disconnected", "paused_at": CHECKED, "paused_until": LATER},
            "pools": [{"pool": "Staff", "available": 3}, {"pool": "Guests", "available": None}],
            "secret_made_at": CHECKED,
            "former_secrets": [{"made_at": MADE, "counts_until": LATER}],
        }
    ]


def test_a_connector_that_was_just_set_has_not_answered(run: Run, manager_id: str) -> None:
    run("set", manager_id, URL)

    result = run("show")

    assert result.stdout.splitlines()[2] == "manager.check    not answered yet, so phones wait"
    assert len(result.stdout.splitlines()) == 4


# ------------------------------------------------------------------------------------------------------ Standing still


@pytest.fixture
def check(store: Store, workspace: Workspace) -> Run:
    def run_(*arguments: str) -> Result:
        options = ["--table-name", store.table.name, "--workspace-id", workspace.workspace_id, "--patience", "0"]
        return CliRunner().invoke(provisioning_command, ["check", *options, *arguments], catch_exceptions=False)

    return run_


def ago(**duration: float) -> str:
    return timestamp(datetime.now(UTC) - timedelta(**duration))


@pytest.mark.parametrize(
    ("connector", "is_found"),
    [
        ({"asked_at": ago(minutes=125)}, True),
        ({"set_at": ago(minutes=125)}, True),
        ({"set_at": ago(days=9), "asked_at": ago(minutes=115)}, False),
        ({"asked_at": ago(days=9), "paused_at": ago(days=8)}, False),
        ({}, False),
    ],
)
def test_a_connector_that_nobody_asks_any_more_is_found(
    check: Run, workspace: Workspace, manager_id: str, connector: dict[str, str], *, is_found: bool
) -> None:
    workspace.connect(manager_id, **connector)

    result = check()

    found = "Error: connectors that nobody asks: 1; --mend has them go on\n"
    assert (result.exit_code, result.stderr) == ((1, found) if is_found else (0, "No enrollment stands still.\n"))


@pytest.mark.parametrize(("minutes", "is_found"), [(65, True), (55, False)])
def test_a_connector_is_not_missed_within_an_hour_after_a_pause_of_its_manager(
    check: Run, workspace: Workspace, manager_id: str, minutes: int, *, is_found: bool
) -> None:
    workspace.connect(manager_id, asked_at=ago(hours=3))
    workspace.pause(manager_id, reason="busy", paused_at=ago(hours=3), paused_until=ago(minutes=minutes))

    result = check()

    assert result.exit_code == (1 if is_found else 0)


def test_a_connector_that_nobody_asked_is_asked_again(
    check: Run, workspace: Workspace, manager_id: str, provisioning: Provisioning, store: Store
) -> None:
    workspace.connect(manager_id, set_at=ago(days=2))
    provisioning.seen = store.items()  # these changes were lost

    result = check("--mend")

    provisioning.settle()
    assert (result.exit_code, result.stderr) == (0, "Connectors that are asked again: 1.\n")
    assert [request.type for request in provisioning.asked][:1] == ["manager.check"]
