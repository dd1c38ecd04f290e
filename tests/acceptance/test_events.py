"""What follows a request: events in the list, on the bus and at webhooks, by the stack with all that runs beside it."""

import io
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from enrollment.store.client import create_client
from enrollment.store.items import stored_acs_system, stored_automation, stored_user_identity
from enrollment.timestamps import timestamp
from enrollments.directory.importing import import_rows
from enrollments.directory.rows import RawRow, read_row
from enrollments.local.stack import lambda_environment, open_stack
from local_aws.functions import environment
from local_aws.moto_server import serve_moto
from tests.acceptance.conftest import IN_PROCESS, Service, serve_stack
from tests.acceptance.large import IS_ALONE, takes_seconds
from tests.acceptance.sdk import AUTOMATIONS, Sdk, installed, javascript, param, python
from tests.fixtures import Store, put_all

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IN_PROCESS, reason="what follows a request is driven in the local stack only"),
]

type Json = dict[str, Any]
# The contract lists an event within a second or two ("Events").  `make test-large` is alone on the machine, and asks
# for that with large numbers.  With `make test`, other tests run meanwhile.
SOON = float(os.environ.get("ENROLLMENTS_SOON_SECONDS", "30"))
AUTOMATIONS_OF_ONE, IMPORTED = (250, 1000) if IS_ALONE else (40, 100)


@pytest.fixture(scope="module", params=["moto", "DynamoDB Local"])
def live(project: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    endpoint = None
    kept: AbstractContextManager[None] = nullcontext()
    if request.param == "DynamoDB Local":
        endpoint = os.environ.get("ENROLLMENTS_DYNAMODB_ENDPOINT")
        if endpoint is None:
            pytest.skip("ENROLLMENTS_DYNAMODB_ENDPOINT names no DynamoDB server")
        kept = table_as_it_was(project, endpoint)
    with (
        kept,
        serve_moto("127.0.0.1") as moto,
        serve_stack(project, moto=moto, dynamodb_endpoint=endpoint) as service,
    ):
        yield service


@contextmanager
def table_as_it_was(project: Path, endpoint: str) -> Iterator[None]:
    """Leave a server's table as it was: the experiments on the same server need one without foreign items."""
    with environment(lambda_environment(endpoint), without=("AWS_",)):
        client = create_client()
    was_there = client.list_tables()["TableNames"]
    with open_stack(
        project / "template.yaml", dynamodb_endpoint=endpoint, log=io.StringIO(), terminal=io.StringIO()
    ) as stack:
        store = Store(stack.table, client, stack.table_name)
        held = store.items()
    yield
    if store.table_name in was_there:
        store.restore(held)
    else:
        client.delete_table(TableName=store.table_name)


def ask(service: Service, route: str, token: str | None = None, **parameters: Any) -> Json:
    response = service.post(route, parameters, token=token)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def listed(service: Service, since: str, **filters: Any) -> list[Json]:
    """Return all events after a moment, page by page."""
    found: list[Json] = []
    cursor = None
    while True:
        answer = ask(service, "/events/list", since=since, limit=1000, page_cursor=cursor, **filters)
        found += answer["events"]
        cursor = answer["pagination"]["next_page_cursor"]
        if cursor is None:
            return found


def soon(found: Callable[[], Sequence[Json]], count: int) -> list[Json]:
    """Return events once there are so many; they have to be there soon."""
    end = time.monotonic() + SOON
    while len(events := found()) < count and time.monotonic() < end:
        time.sleep(0.001 * min(count, 500))  # to read a long list delays what is waited for
    assert len(events) == count
    return list(events)


@pytest.fixture
def since() -> str:
    time.sleep(0.002)
    return timestamp(datetime.now(UTC))


def test_a_client_sessions_end_is_listed_however_it_comes(live: Service, since: str) -> None:
    sessions = [ask(live, "/client_sessions/create")["client_session"] for _ in range(2)]
    first, second = ({"client_session_id": session["client_session_id"]} for session in sessions)
    ask(live, "/client_sessions/delete", **first)
    ask(live, "/client_sessions/revoke", **second)
    ask(live, "/client_sessions/delete", **second)

    events = soon(lambda: listed(live, since, event_type="client_session.deleted"), 2)

    assert [event["client_session_id"] for event in events] == [*first.values(), *second.values()]


def test_a_launch_and_a_deletion_are_listed_once_and_in_order(live: Service, since: str) -> None:
    pair = live.pair()
    launched = ask(live, f"{AUTOMATIONS}/launch", **pair)["enrollment_automation"]
    ask(live, f"{AUTOMATIONS}/launch", **pair)  # changes nothing
    automation = {"enrollment_automation_id": launched["enrollment_automation_id"]}
    ask(live, f"{AUTOMATIONS}/delete", **automation)

    events = soon(lambda: listed(live, since, user_identity_id=pair["user_identity_id"]), 2)

    assert [event["event_type"].rpartition(".")[2] for event in events] == ["launched", "deleted"]
    assert [event["enrollment_automation_id"] for event in events] == 2 * [automation["enrollment_automation_id"]]
    assert [ask(live, "/events/get", event_id=event["event_id"])["event"] for event in events] == events
    time.sleep(0.3)
    assert len(listed(live, since, user_identity_id=pair["user_identity_id"])) == 2


def test_a_refused_launch_is_no_event(live: Service, since: str) -> None:
    pair = live.pair()
    refused = live.launch(pair | {"credential_manager_acs_user_id": str(uuid4())})
    assert refused.status_code == 404

    ask(live, f"{AUTOMATIONS}/launch", **pair)

    (event,) = soon(lambda: listed(live, since, user_identity_id=pair["user_identity_id"]), 1)
    assert event["event_type"] == "enrollment_automation.launched"


def test_what_becomes_of_phones_and_credentials_is_listed_once(live: Service, since: str) -> None:
    identity = {"user_identity_id": live.workspace.user_identity()}
    garage = {"full_name": "Jane Doe", "acs_system_id": live["ACS_SYSTEM_ID"]}
    mobile_key: Json = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}
    phone = ask(live, "/phones/simulate/create_sandbox_phone", **identity)["phone"]
    acs_user = ask(live, "/acs/users/create", **garage, **identity)["acs_user"]
    created = ask(live, "/acs/credentials/create", acs_user_id=acs_user["acs_user_id"], **mobile_key)
    credential = created["acs_credential"]

    ask(live, "/acs/credentials/delete", acs_credential_id=credential["acs_credential_id"])
    ask(live, "/phones/deactivate", device_id=phone["device_id"])

    events = soon(lambda: listed(live, since, **identity), 4)
    about = {event["event_type"]: event for event in events}
    assert about.keys() == {"phone.registered", "phone.deactivated", "acs_user.created", "acs_credential.deleted"}
    assert about["phone.registered"]["device_id"] == about["phone.deactivated"]["device_id"] == phone["device_id"]
    assert about["acs_credential.deleted"]["acs_credential_id"] == credential["acs_credential_id"]


def test_the_terminal_shows_each_event(live: Service, since: str) -> None:
    automation_id = launch(live)
    soon(lambda: [event for event in listed(live, since) if event.get("enrollment_automation_id") == automation_id], 1)

    end = time.monotonic() + SOON
    while automation_id not in live.terminal.getvalue() and time.monotonic() < end:
        time.sleep(0.05)

    about = f"enrollment_automation_id={automation_id}"
    assert f"event  enrollment_automation.launched  {about}" in live.terminal.getvalue()


def test_the_deletion_of_an_identity_with_many_automations_is_an_event_for_each(live: Service, since: str) -> None:
    identity_id, workspace_id = str(uuid4()), live["SEAM_WORKSPACE_ID"]
    common: dict[str, Any] = {"workspace_id": workspace_id, "created_at": since}
    items = stored_user_identity({"user_identity_id": identity_id, **common})
    for _ in range(AUTOMATIONS_OF_ONE):
        system_id = str(uuid4())
        system = {"acs_system_id": system_id, "name": "M", "is_credential_manager": True, **common}
        items |= stored_acs_system({**system, "connected_account_id": str(uuid4())})
        items |= stored_automation(
            {
                "enrollment_automation_id": str(uuid4()),
                "user_identity_id": identity_id,
                "credential_manager_acs_system_id": system_id,
                "requested_create_credential_manager_user": False,
                **common,
            }
        )
    put_all(live.workspace.table, items)
    launched = soon(lambda: listed(live, since, user_identity_id=identity_id), AUTOMATIONS_OF_ONE)

    ask(live, "/user_identities/delete", user_identity_id=identity_id)

    events = soon(lambda: listed(live, since, user_identity_id=identity_id), 2 * AUTOMATIONS_OF_ONE)
    assert events[:AUTOMATIONS_OF_ONE] == launched
    assert {event["event_type"] for event in events[AUTOMATIONS_OF_ONE:]} == {"enrollment_automation.deleted"}
    assert len({event["event_id"] for event in events}) == 2 * AUTOMATIONS_OF_ONE
    of_launched, of_deleted = (
        {event["enrollment_automation_id"] for event in half} for half in (launched, events[AUTOMATIONS_OF_ONE:])
    )
    assert of_launched == of_deleted


def import_rows_of(service: Service, rows: Sequence[Any]) -> None:
    results = import_rows(service.workspace.table, service["SEAM_WORKSPACE_ID"], rows, timestamp(datetime.now(UTC)))
    assert [result.problems for result in results if result.problems] == []


def test_an_import_of_many_acs_users_is_an_event_for_each(live: Service, since: str) -> None:
    system_id = live.workspace.acs_system()
    rows = [
        read_row(RawRow(number, number, {"acs_user_id": str(uuid4()), "acs_system_id": system_id, "full_name": "Jane"}))
        for number in range(1, IMPORTED + 1)
    ]
    import_rows_of(live, rows)

    events = soon(lambda: listed(live, since, acs_system_id=system_id), IMPORTED)
    import_rows_of(live, rows)  # the second time, it changes nothing
    time.sleep(0.5)

    assert listed(live, since, acs_system_id=system_id) == events
    assert {event["event_type"] for event in events} == {"acs_user.created"}
    assert len({event["acs_user_id"] for event in events}) == IMPORTED
    assert [event["created_at"] for event in events] == sorted(event["created_at"] for event in events)


def test_workspaces_never_see_each_others_events(live: Service, since: str) -> None:
    identity = live.pair()
    ask(live, f"{AUTOMATIONS}/launch", **identity)
    (event,) = soon(lambda: listed(live, since, user_identity_id=identity["user_identity_id"]), 1)

    others = ask(live, "/events/list", live["OTHER_SEAM_API_KEY"], since="2020-01-01T00:00:00Z")["events"]
    got = live.post("/events/get", {"event_id": event["event_id"]}, token=live["OTHER_SEAM_API_KEY"])

    assert event["event_id"] not in {other["event_id"] for other in others}
    assert got.json()["error"]["type"] == "event_not_found"


def test_a_client_session_sees_the_events_of_its_identities(live: Service, since: str) -> None:
    manager = live.workspace.credential_manager()
    jane = {"user_identity_id": live["USER_IDENTITY_ID"], "credential_manager_acs_system_id": manager}
    mine = ask(live, f"{AUTOMATIONS}/launch", **jane)["enrollment_automation"]["enrollment_automation_id"]
    automation_ids = {mine, launch(live)}
    both = soon(
        lambda: [event for event in listed(live, since) if event.get("enrollment_automation_id") in automation_ids], 2
    )

    session = live["SEAM_CLIENT_SESSION_TOKEN"]
    seen = ask(live, "/events/list", session, since=since)["events"]
    got = [live.post("/events/get", {"event_id": event["event_id"]}, token=session).status_code for event in both]

    assert [event["enrollment_automation_id"] for event in seen] == [mine]
    assert sorted(got) == [200, 404]
    ask(live, f"{AUTOMATIONS}/delete", enrollment_automation_id=mine)


SDKS = {"seam-1": Sdk(python(1)), "seam-3": Sdk(python(3)), "http-1": Sdk(javascript(1)), "http-2": Sdk(javascript(2))}


OF_MAKE_TEST = {"seam-3", "http-1", "http-2"}


@pytest.mark.parametrize("sdk", [param(sdk, name) for name, sdk in SDKS.items() if IS_ALONE or name in OF_MAKE_TEST])
def test_an_sdk_lists_each_event_once_page_by_page_while_others_happen(live: Service, since: str, sdk: Sdk) -> None:
    before = {launch(live) for _ in range(15)}
    soon(lambda: launches(live, since, before), 15)
    meanwhile: list[str] = []
    stop = threading.Event()

    def go_on_launching() -> None:
        while not stop.wait(0.02):
            meanwhile.append(launch(live))

    with ThreadPoolExecutor() as executor:
        executor.submit(go_on_launching)
        try:
            pages = installed(sdk).all_pages(live, "/events/list", {"since": since, "limit": 4})
        finally:
            stop.set()
    soon(lambda: launches(live, since, meanwhile), len(meanwhile))
    latest = datetime.fromisoformat(pages[-1]["created_at"])
    overlapping = timestamp(max(datetime.fromisoformat(since), latest - timedelta(seconds=10)))
    polled = installed(sdk).all_pages(live, "/events/list", {"since": overlapping, "limit": 100})
    (got,) = installed(sdk).call(live, ("/events/get", {"event_id": pages[0]["event_id"]}))

    ids = [event["event_id"] for event in pages]
    assert len(ids) == len({*ids})
    seen = {event["event_id"]: event.get("enrollment_automation_id") for event in (*pages, *polled)}
    assert before | {*meanwhile} <= {*seen.values()}
    assert before <= {event.get("enrollment_automation_id") for event in pages}
    assert meanwhile
    assert got["result"]["event_id"] == pages[0]["event_id"]


def launches(service: Service, since: str, automation_ids: Collection[str]) -> list[Json]:
    found = listed(service, since, event_type="enrollment_automation.launched")
    return [event for event in found if event["enrollment_automation_id"] in automation_ids]


class Arrival(NamedTuple):
    """A request that a receiver got."""

    at: float
    headers: dict[str, str]
    body: str


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks.

    Attributes:
        got: What has arrived.
        first_answer: The status of the first answer to each event; it is 200 after that.
        may_answer: Whether it answers; it waits until it may.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[Arrival] = []
        self.first_answer = 200
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.may_answer.wait(14)
        self.server.got.append(Arrival(time.monotonic(), dict(self.headers), body))
        is_first = all(arrival.headers["svix-id"] != self.headers["svix-id"] for arrival in self.server.got[:-1])
        self.send_response(self.server.first_answer if is_first else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(service: Service, **options: Any) -> Iterator[tuple[Receiver, Json]]:
    """Yield a receiver and its webhook."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        webhook = ask(service, "/webhooks/create", url=receiver.url, **options)["webhook"]
        try:
            yield receiver, webhook
        finally:
            ask(service, "/webhooks/delete", webhook_id=webhook["webhook_id"])
            receiver.shutdown()
            thread.join()


def launch(service: Service) -> str:
    launched = ask(service, f"{AUTOMATIONS}/launch", **service.pair())["enrollment_automation"]
    return str(launched["enrollment_automation_id"])


def arrived(receiver: Receiver, about: Sequence[str], count: int, seconds: float = SOON) -> list[Arrival]:
    """Return what has arrived about some automations, once there is so much of it."""
    end = time.monotonic() + seconds
    while True:
        found = [one for one in receiver.got if json.loads(one.body).get("enrollment_automation_id") in about]
        if len(found) >= count or time.monotonic() > end:
            break
        time.sleep(0.05)
    assert len(found) == count
    return found


VERIFY = {
    "python": """
import json, sys
from seam import SeamWebhook
secret, body, headers = json.load(sys.stdin)
try:
    print(SeamWebhook(secret).verify(body, headers).event_id)
except Exception as error:
    print(type(error).__name__)
""",
    "javascript": """
import { SeamWebhook } from '@seamapi/webhook'
import { readFileSync } from 'node:fs'
const [secret, body, headers] = JSON.parse(readFileSync(0))
try { console.log(new SeamWebhook(secret).verify(body, headers).event_id) } catch (error) { console.log(error.name) }
""",
}
VERIFIERS = [
    pytest.param([python(1)[0], "-c", VERIFY["python"]], id="seam 1", marks=takes_seconds),
    pytest.param([python(3)[0], "-c", VERIFY["python"]], id="seam 3"),
    pytest.param(
        ["node", "--input-type=module", "-e", VERIFY["javascript"]],
        id="@seamapi/webhook",
        marks=pytest.mark.javascript,
    ),
]


@pytest.mark.parametrize("command", VERIFIERS)
def test_the_sdks_verify_what_arrives_and_nothing_else(live: Service, command: list[Any]) -> None:
    with receiving(live) as (receiver, webhook):
        ((_, headers, body),) = arrived(receiver, [launch(live)], 1)

    def verify(given: str) -> str:
        done = subprocess.run(  # noqa: S603
            command,
            input=json.dumps([webhook["secret"], given, headers]),
            cwd=javascript(2)[1].parent,  # type: ignore[union-attr]
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert verify(body) == json.loads(body)["event_id"] == headers["svix-id"]
    assert verify(body.replace("launched", "deleted")).endswith("Error")


def test_a_webhook_gets_the_types_that_it_wants(live: Service) -> None:
    with receiving(live, event_types=["enrollment_automation.deleted"]) as (receiver, _):
        automation_id = launch(live)
        ask(live, f"{AUTOMATIONS}/delete", enrollment_automation_id=automation_id)

        (event,) = arrived(receiver, [automation_id], 1)

    assert json.loads(event.body)["event_type"] == "enrollment_automation.deleted"


@takes_seconds
def test_a_failed_delivery_comes_again_after_about_five_seconds_and_is_the_same(live: Service) -> None:
    with receiving(live) as (receiver, _):
        receiver.first_answer = 500

        first, second = arrived(receiver, [launch(live)], 2, SOON + 7)

    assert first.body == second.body
    assert first.headers["svix-id"] == second.headers["svix-id"]
    assert first.headers["svix-signature"] != second.headers["svix-signature"]
    assert 4 < second.at - first.at < 7 + SOON


def test_a_slow_receiver_delays_no_other(live: Service) -> None:
    with receiving(live) as (slow, _), receiving(live) as (quick, _):
        slow.may_answer.clear()
        launched = [launch(live) for _ in range(3)]

        arrived(quick, launched, 3)

        assert slow.got == []
        slow.may_answer.set()
        arrived(slow, launched, 3)
