"""``enrollments local run`` as a person meets it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import PIPE
from typing import Any, override

import httpx
import pytest
from click.testing import CliRunner

from enrollments.local.commands import invoke, run
from local_aws.moto_server import serve_moto
from tests.acceptance.conftest import IN_PROCESS
from tests.serving import serving

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IN_PROCESS, reason="the command is not the service that is tested"),
]

COMMAND = Path(sys.executable).parent / "enrollments"
LAUNCH = "/user_identities/enrollment_automations/launch"
NO_SUCH_ROUTE = json.dumps(
    {
        "httpMethod": "GET",
        "resource": "/x",
        "requestContext": {
            "requestId": "r",
            "authorizer": {"token_kind": "api_key", "token_id": "x", "workspace_ids": "w", "user_identity_ids": ""},
        },
    }
).encode()
DEAF = ("sh", "-c", 'trap \'\' INT; exec "$0" "$@"')  # what a script starts with & ignores SIGINT


@dataclass
class Run:
    """A running command and the copy of the project that it runs in."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def variables(self) -> dict[str, str]:
        lines = (self.folder / ".local/demo.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the same folder."""
        return subprocess.run([COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True, check=True)  # noqa: S603

    def launch(self, token: str | None = None, manager: str = "CREDENTIAL_MANAGER_ACS_SYSTEM_ID") -> httpx.Response:
        variables = self.variables
        return httpx.post(
            variables["SEAM_ENDPOINT"] + LAUNCH,
            headers={"Authorization": f"Bearer {token or variables['SEAM_API_KEY']}"},
            json={
                "user_identity_id": variables["USER_IDENTITY_ID"],
                "credential_manager_acs_system_id": variables[manager],
            },
            timeout=30,
        )

    def call(self, path: str, body: Mapping[str, object], token: str) -> dict[str, Any]:
        """Send a request, and return the answer."""
        url, headers = self.variables["SEAM_ENDPOINT"] + path, {"Authorization": f"Bearer {token}"}
        answer: dict[str, Any] = httpx.post(url, headers=headers, json=body, timeout=30).raise_for_status().json()
        return answer

    def create_webhook(self, url: str) -> None:
        variables = self.variables
        httpx.post(
            f"{variables['SEAM_ENDPOINT']}/webhooks/create",
            headers={"Authorization": f"Bearer {variables['SEAM_API_KEY']}"},
            json={"url": url},
            timeout=30,
        ).raise_for_status()

    def stop(self, number: int) -> float:
        """Send a signal; return the seconds until the command has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        return time.monotonic() - began


class NoDynamoDb(BaseHTTPRequestHandler):
    """Answers 501 with a page."""

    @override
    def log_message(self, *_: object) -> None:
        pass


class Start:
    """Starts the command, each time in a copy of the project in a folder of its own.

    Args:
        project: What is copied.
        folder: Where the copies go.
        expanded: Where all copies keep their expanded templates, so that only the first expands one.
    """

    def __init__(self, project: Path, folder: Path, expanded: Path) -> None:
        self._project = project
        self._folder = folder
        self._expanded = expanded
        self._runs: list[Run] = []

    def __call__(
        self,
        *arguments: str,
        port: int = 0,
        wait: bool = True,
        files: Mapping[str, str] | None = None,
        through: tuple[str, ...] = (),
    ) -> Run:
        folder = self._folder / str(len(self._runs))
        folder.mkdir()
        for name in ("examples", "functions", "layers"):
            shutil.copytree(self._project / name, folder / name)
        for name in ("template.yaml", "openapi.json"):
            shutil.copy(self._project / name, folder)
        (folder / ".local").mkdir()
        (folder / ".local/templates").symlink_to(self._expanded)
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        with (folder / "output").open("w") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*through, COMMAND, "local", "run", "--port", str(port), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                # The package under test is the copy's, so that it can be edited.
                env={**os.environ, "PYTHONPATH": str(folder / "layers/enrollment")},
            )
        run = Run(process, folder)
        self._runs.append(run)
        deadline = time.monotonic() + 60
        while wait and "Listening" not in run.output:
            assert process.poll() is None, run.output
            assert time.monotonic() < deadline, run.output
            time.sleep(0.05)
        return run

    def end(self) -> None:
        """End what runs yet."""
        for one in self._runs:
            one.process.kill()
            one.process.wait()


@pytest.fixture(scope="module")
def expanded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("expanded")


@pytest.fixture
def start(project: Path, tmp_path: Path, expanded: Path) -> Iterator[Start]:
    start = Start(project, tmp_path, expanded)
    try:
        yield start
    finally:
        start.end()


@pytest.fixture(scope="module")
def served(project: Path, tmp_path_factory: pytest.TempPathFactory, expanded: Path) -> Iterator[Run]:
    """A command that serves, for tests that neither edit its files nor end it: a process takes a second to start."""
    start = Start(project, tmp_path_factory.mktemp("served"), expanded)
    try:
        yield start()
    finally:
        start.end()


type Refuse = Callable[..., str]


@pytest.fixture
def refuse(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refuse]:
    """Return a function that runs the command in this process, which refuses to serve, and returns its output."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(tmp_path)

    def refuse_(*arguments: str, template: Path = project / "template.yaml") -> str:
        command = ["--port", "0", "--template", str(template), *arguments]
        result = CliRunner().invoke(run, command, catch_exceptions=False)
        assert result.exit_code == 1
        return result.output

    yield refuse_
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_what_is_printed_works_when_pasted(served: Run, project: Path) -> None:
    (curl,) = re.findall(r"^curl .*$", served.output, re.MULTILINE)
    (script,) = re.findall(r"^from seam import Seam\n(?:.+\n){4}", served.output, re.MULTILINE)

    by_curl = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)  # noqa: S603, S607
    by_sdk = subprocess.run(  # noqa: S603
        [project / ".venv-seam-1/bin/python", "-"], input=script, capture_output=True, text=True, check=True
    )

    assert '"ok":true' in by_curl.stdout
    assert by_sdk.stdout.startswith("EnrollmentAutomation(")


def test_commands_find_the_running_system_by_themselves(served: Run) -> None:
    workspace_id = served.variables["SEAM_WORKSPACE_ID"]

    made = served.command("tokens", "create", "--kind", "api-key", "--workspace-id", workspace_id)
    checked = served.command("directory", "check")

    assert re.fullmatch(r"On the system of `make run` \(http://127\.0\.0\.1:\d+\)\.\n", made.stderr)
    assert served.launch(made.stdout.strip(), "OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID").status_code == 200
    assert checked.stdout == "Nothing is wrong.\n"


def test_a_phone_gets_a_credential_by_the_example_of_a_connector(start: Start) -> None:
    port = free_port()
    run = start("--connector", "1", "--connector-port", str(port))
    key, identity = run.variables["CONNECTOR_SEAM_API_KEY"], run.variables["CONNECTOR_USER_IDENTITY_ID"]
    system = {"acs_system_id": run.variables["CONNECTOR_ACS_SYSTEM_ID"]}
    launched = {
        "user_identity_id": identity,
        "credential_manager_acs_system_id": system["acs_system_id"],
        "create_credential_manager_user": True,
    }
    of_phones = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}

    run.call(LAUNCH, launched, key)
    run.call("/acs/credentials/create", {"user_identity_id": identity, **system, **of_phones}, key)
    session = run.call("/client_sessions/create", {"user_identity_ids": [identity]}, key)["client_session"]
    opened = {"custom_sdk_installation_id": "an app", "phone_os": "ios"}
    credentials = wait_for(
        lambda: credentials_of_app(run, opened, session["token"]), lambda found: found and found[0]["is_issued"]
    )

    assert len(credentials) == 1
    assert re.search(r"  connector  credential\.issue \S+ (pending|active)\n", run.output)
    assert "The connector of credential manager" in run.output
    assert run.stop(signal.SIGINT) < 10
    with socket.create_server(("127.0.0.1", port)):  # it has ended, too
        pass


def credentials_of_app(run: Run, opened: Mapping[str, object], token: str) -> list[dict[str, Any]]:
    """Return the credentials that an app gets; at first there are none."""
    answer = run.call("/seam/mobile_sdk/v1/phone_sessions/get_or_create", opened, token)
    provided = answer["phone_session"]["provider_sessions"]
    return [credential for session in provided for credential in session["acs_credentials"]]


def wait_for[Value](look: Callable[[], Value], is_there: Callable[[Value], object]) -> Value:
    """Return what is found once it is there."""
    deadline = time.monotonic() + 30
    while not is_there(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_a_connector_that_cannot_start_is_one_clear_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = start("--connector", "1", "--connector-port", str(taken.getsockname()[1]), wait=False)
        status = run.process.wait(timeout=30)

    assert status == 1
    assert "the example of a connector does not start on port" in run.output
    assert "Traceback" not in run.output


def test_a_connector_at_a_forbidden_address_is_one_clear_line(refuse: Refuse) -> None:
    assert "https://10.0.0.1/" in refuse("--connector", "https://10.0.0.1/")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_end_of_the_system_leaves_nothing_to_find(start: Start) -> None:
    run = start()

    run.stop(signal.SIGTERM)

    assert not (run.folder / ".local/run.json").exists()


def test_events_are_followed_until_ctrl_c(served: Run) -> None:
    served.launch(manager="OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID")
    tail = [str(COMMAND), "events", "tail", "--since", "2000-01-01T00:00:00Z"]
    with subprocess.Popen(tail, cwd=served.folder, stdout=PIPE, stderr=PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert "  enrollment_automation.launched  " in line or "  acs_user.created  " in line
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_the_first_line_says_where_the_first_page_is(served: Run) -> None:
    (address,) = re.findall(r"\ASee a phone get its credential, in a browser: (.*)$", served.output, re.MULTILINE)

    assert "<h1>A phone gets its credential</h1>" in httpx.get(address).text


def test_the_page_of_the_routes_is_where_it_is_printed(served: Run) -> None:
    (address,) = re.findall(r"^Try them in a browser: (.*)$", served.output, re.MULTILINE)

    assert httpx.get(address).headers["content-type"] == "text/html; charset=utf-8"


def test_the_variables_are_printed_and_written(served: Run) -> None:
    expected = {
        "SEAM_ENDPOINT",
        "SEAM_API_KEY",
        "SEAM_WORKSPACE_ID",
        "USER_IDENTITY_ID",
        "OTHER_USER_IDENTITY_ID",
        "CREDENTIAL_MANAGER_ACS_SYSTEM_ID",
        "OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID",
        "ACS_SYSTEM_ID",
        "ACS_CREDENTIAL_POOL_ID",
        "OTHER_ACS_CREDENTIAL_POOL_ID",
        "CREDENTIAL_MANAGER_ACS_USER_ID",
    }
    assert expected <= served.variables.keys()
    for name, value in served.variables.items():
        assert f"{name}={value}\n" in served.output


@pytest.mark.parametrize(
    ("number", "through"),
    [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGINT, DEAF)],
    ids=["SIGINT", "SIGTERM", "SIGINT to a deaf one"],
)
def test_a_signal_ends_it_at_once_though_a_client_is_connected(
    start: Start, number: int, through: tuple[str, ...]
) -> None:
    run = start(through=through)
    port = int(run.variables["SEAM_ENDPOINT"].rpartition(":")[2])

    with closing(socket.create_connection(("127.0.0.1", port))):
        assert run.stop(number) < 5  # where a connected client was waited for, it would be its 29 s

    assert "Traceback" not in run.output


class NeverAnswers(NoDynamoDb):
    """A receiver that takes a request and does not answer until the test ends."""

    asked = threading.Event()
    may_end = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.may_end.wait(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_quietly_during_a_delivery(start: Start, number: int) -> None:
    NeverAnswers.asked.clear()
    NeverAnswers.may_end.clear()
    run = start()

    with serving(HTTPServer(("127.0.0.1", 0), NeverAnswers)) as receiver:
        try:
            run.create_webhook(receiver)
            run.launch()
            assert NeverAnswers.asked.wait(20)
            assert run.stop(number) < 4  # the receiver would be waited for 15 s
        finally:
            NeverAnswers.may_end.set()

    assert run.process.returncode == 0
    assert "Traceback" not in run.output
    assert "Error" not in run.output


def test_ctrl_c_during_the_imports_shows_no_traceback(start: Start) -> None:
    moto = "import signal\n\nsignal.raise_signal(signal.SIGINT)\n"

    run = start(wait=False, files={"layers/enrollment/moto.py": moto})

    assert run.process.wait(timeout=30) == 1
    assert run.output == "\nAborted!\n"


def test_the_help_is_there_without_the_slow_imports() -> None:
    script = "import sys, enrollments.main as m; m.main(['--help'], standalone_mode=False); print(sorted(sys.modules))"

    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout  # noqa: S603

    assert "local " in shown
    assert "tokens " in shown
    assert not {"'moto'", "'boto3'", "'botocore'"} & set(re.split(r"[\[\], ]+", shown))


def test_a_taken_port_is_one_clear_line_and_the_log_of_who_has_it_stays(start: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        run = start(port=port, wait=False, files={".local/functions.log": "kept"})

        assert run.process.wait(timeout=30) == 1

    assert run.output == f"Error: port {port} is taken; choose another: make run PORT={port + 1}\n"
    assert (run.folder / ".local/functions.log").read_text() == "kept"


@pytest.mark.parametrize(
    "file", ["functions/enrollment_automations/app.py", "layers/enrollment/enrollment/use_cases/automations.py"]
)
def test_an_edited_file_is_picked_up_and_a_defect_shows_its_traceback(start: Start, file: str) -> None:
    run = start()
    path = run.folder / file
    source = path.read_text()
    assert run.launch().status_code == 200

    path.write_text(source.replace('"""\n', '"""\n\nraise RuntimeError("planted")\n', 1))
    broken = run.launch()

    assert (broken.status_code, broken.json()["error"]["type"]) == (500, "internal_server_error")
    assert "Traceback" in run.output
    assert "RuntimeError: planted" in run.output
    path.write_text(source)
    assert run.launch().status_code == 200


def test_a_defect_in_a_route_shows_its_traceback(start: Start) -> None:
    run = start()
    path = run.folder / "layers/enrollment/enrollment/use_cases/automations.py"
    call = "        automation = _new_automation"
    path.write_text(path.read_text().replace(call, f"        1 / 0\n{call}"))

    response = run.launch()

    assert (response.status_code, response.json()["error"]["message"]) == (500, "Internal server error")
    assert "ZeroDivisionError" in run.output


def test_a_template_that_cannot_be_interpreted_is_one_clear_line(refuse: Refuse, project: Path, tmp_path: Path) -> None:
    source = (project / "template.yaml").read_text()
    edited = tmp_path / "template.yaml"
    edited.write_text(source.replace("/launch, Method: POST}}", "/launch, Method: POST, Auth: {Authorizer: NONE}}}", 1))
    for folder in ("functions", "layers"):
        (tmp_path / folder).symlink_to(project / folder)

    (line,) = refuse(template=edited).splitlines()

    assert line.startswith(f"Error: POST {LAUNCH}: a route needs one authorizer")


def test_a_database_out_of_reach_at_the_start_is_one_clear_line(refuse: Refuse) -> None:
    (line,) = refuse("--dynamodb-endpoint", "http://127.0.0.1:9").splitlines()

    assert line.startswith("Error: DynamoDB at http://127.0.0.1:9: ")


def test_a_server_that_is_no_dynamodb_is_one_clear_line(refuse: Refuse) -> None:
    with serving(HTTPServer(("127.0.0.1", 0), NoDynamoDb)) as address:
        (line,) = refuse("--dynamodb-endpoint", address).splitlines()

    assert line.startswith(f"Error: DynamoDB at {address}: ")
    assert len(line) < 400


@pytest.mark.parametrize("body", ["{}", "[]", '{"TableDescription": 5}'])
def test_a_server_with_other_json_is_one_clear_line(refuse: Refuse, body: str) -> None:
    class OtherJson(NoDynamoDb):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    with serving(HTTPServer(("127.0.0.1", 0), OtherJson)) as address:
        (line,) = refuse("--dynamodb-endpoint", address).splitlines()

    assert line.startswith(f"Error: DynamoDB at {address}: the server is not DynamoDB")


def test_a_database_that_goes_while_it_runs_is_a_line_for_each_request(start: Start) -> None:
    with serve_moto("127.0.0.1") as moto:
        run = start("--dynamodb-endpoint", moto.url)
        assert run.launch().status_code == 200

    response = run.launch()

    assert (response.status_code, response.json()["error"]["type"]) == (503, "service_unavailable")
    shown = run.output.partition("Requests and events:\n")[2]
    assert "the database is unavailable: " in shown
    assert "Traceback" not in shown
    lines = [line for line in shown.strip().splitlines() if "  event  " not in line]
    assert len(lines) <= 4  # two requests, and what was wrong


def test_a_folder_that_cannot_be_written_is_one_clear_line(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file")

    assert refuse() == "Error: .local: File exists; this command writes its files into .local/\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "{file}: not JSON in UTF-8: "),
        (b"launch", "{file}: not JSON in UTF-8: "),
        (b"\xff\xfe{\x00}\x00", "{file}: not JSON in UTF-8: "),
        (b"[" * 100_000, "{file}: not JSON in UTF-8: "),
        (b"[]", "{file}: an event is a JSON object; the folder events/ has an example for each route"),
        (b"{}", "this is not API Gateway's proxy event of a REST API (payload version 1.0): httpMethod is missing;"),
        (b'{"httpMethod": "GET", "resource": "/x"}', "this is not API Gateway's proxy event of a REST API"),
        (
            b'{"methodArn": "arn"}',
            "this is not API Gateway's event for an authorizer of type TOKEN: authorizationToken",
        ),
        (NO_SUCH_ROUTE, "the template has no route GET /x, which the event's httpMethod and resource name"),
    ],
)
def test_what_is_no_event_is_one_clear_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, line: str
) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(content)
    monkeypatch.chdir(project)

    result = CliRunner().invoke(invoke, [str(file)])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {line.format(file=file)}")
    assert len(result.output.splitlines()) == 1


def test_an_event_with_a_byte_order_mark_is_read(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(b"\xef\xbb\xbf" + (project / "events/acs_systems_get.json").read_bytes())
    monkeypatch.chdir(project)

    result = CliRunner().invoke(invoke, [str(file)])

    assert json.loads(result.stdout)["statusCode"] == 200


def test_a_template_that_is_not_yaml_is_one_clear_line(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: [\nTransform: x\n")

    (line,) = refuse(template=Path("template.yaml")).splitlines()

    assert line.startswith("Error: template.yaml: not YAML: ")
