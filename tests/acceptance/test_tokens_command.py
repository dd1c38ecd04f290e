"""``enrollments tokens``: what it issues works, what it revokes stops working."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from click.testing import CliRunner, Result

from enrollments.local.demo import CLIENT_SESSIONS_SECRET
from enrollments.tokens import tokens
from local_aws.functions import environment
from tests.acceptance.conftest import Service, serve_stack

type Run = Callable[..., Result]
type Serve = Callable[[int, str], str]

CACHE_SECONDS = 1
OTHER = "00000000-0000-4000-8000-000000000001"
TOKEN = "seam_testDemo_PubLicDemoKeyForLocaLUse"


@pytest.fixture(scope="module")
def service(project: Path) -> Iterator[Service]:
    with serve_stack(project, {"AuthorizerCacheSeconds": str(CACHE_SECONDS)}) as service:
        yield service


@pytest.fixture
def run(service: Service) -> Run:
    def run_(*arguments: str) -> Result:
        assert service.base_url
        name, *options = arguments
        return CliRunner().invoke(tokens, [name, "--table-name", "enrollments-Table", *options])

    return run_


def test_a_new_api_key_launches(service: Service, run: Run) -> None:
    result = run("create", "--kind", "api-key", "--workspace-id", service["SEAM_WORKSPACE_ID"])

    assert result.exit_code == 0, result.output
    assert service.launch(service.pair(), token=result.stdout.strip()).status_code == 200


def test_a_new_personal_access_token_launches_in_its_workspaces(service: Service, run: Run) -> None:
    workspaces = [service["SEAM_WORKSPACE_ID"], service["OTHER_SEAM_WORKSPACE_ID"]]
    options = [option for workspace in workspaces for option in ("--workspace-id", workspace)]

    token = run("create", "--kind", "personal-access-token", *options).stdout.strip()

    headers = {"seam-workspace": workspaces[0]}
    assert token.startswith("seam_at1")
    assert service.launch(service.pair(), token=token, headers=headers).status_code == 200


def test_json_tells_scripts_all_there_is(service: Service, run: Run) -> None:
    workspace_id = service["SEAM_WORKSPACE_ID"]
    options = ["--workspace-id", workspace_id.upper(), "--name", "App", "--expires-in", "12h", "--json"]

    created = json.loads(run("create", "--kind", "api-key", *options).stdout)

    token = {token["token_id"]: token for token in json.loads(run("list", "--json").stdout)}[created["token_id"]]
    assert created["token"].startswith(f"seam_{created['token_id']}_")
    assert (token["kind"], token["name"], token["state"]) == ("api_key", "App", "good")
    assert token["expires_at"] == created["expires_at"]
    assert token["workspace_ids"] == [workspace_id]


@pytest.fixture
def create_session(service: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that creates a client session, on a stack whose secret is the one of this machine."""
    monkeypatch.setattr("enrollments.master_secrets.secret_of_stack", lambda *_: CLIENT_SESSIONS_SECRET.encode())
    monkeypatch.setattr("enrollments.target.table_of_stack", lambda *_: "enrollments-Table")
    options = ["--stack-name", "s", "--kind", "client-session", "--workspace-id", service["SEAM_WORKSPACE_ID"]]
    return lambda *more: CliRunner().invoke(tokens, ["create", *options, *more])


def test_a_client_session_is_one_of_the_api_and_can_be_revoked(service: Service, run: Run, create_session: Run) -> None:
    identity_id = service.workspace.user_identity()
    created = json.loads(create_session("--user-identity-id", identity_id, "--expires-in", "12h", "--json").stdout)

    session = service.post("/client_sessions/get", {}, token=created["token"]).json()["client_session"]
    listed = json.loads(
        run("list", "--workspace-id", service["SEAM_WORKSPACE_ID"], "--client-sessions", "--json").stdout
    )
    revoked = run("revoke", created["token_id"])

    named = {"client_session_id": session["client_session_id"]}
    assert (session["user_identity_ids"], session["token"]) == ([identity_id], created["token"])
    assert session["expires_at"] == created["expires_at"]
    assert created["token_id"] in {token["token_id"] for token in listed}
    assert revoked.output == f"{created['token_id']} is revoked.\n"
    assert service.post("/client_sessions/get", named).status_code == 404


def test_client_sessions_are_listed_only_if_that_is_asked_for(service: Service, run: Run) -> None:
    of_workspace = ["--workspace-id", service["SEAM_WORKSPACE_ID"]]

    assert "cst1testApp1" not in run("list", *of_workspace).stdout
    assert "cst1testApp1" in run("list", *of_workspace, "--client-sessions").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--user-identity-id", OTHER], "there is no such user identity in the workspace"),
        (["--user-identity-id", OTHER, "--name", "App"], "a client session has no name"),
        ([option for _ in range(41) for option in ("--user-identity-id", str(uuid4()))], "may have 40 user identities"),
    ],
)
def test_a_client_session_that_cannot_be_is_a_clear_line(create_session: Run, options: list[str], message: str) -> None:
    result = create_session(*options)

    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_a_client_session_needs_the_secret_of_a_stack(service: Service, run: Run) -> None:
    options = ["--workspace-id", service["SEAM_WORKSPACE_ID"], "--user-identity-id", service["USER_IDENTITY_ID"]]

    result = run("create", "--kind", "client-session", *options)

    assert result.exit_code == 2
    assert "derived from a secret of the stack: --stack-name" in " ".join(result.output.split())


def test_a_token_for_a_workspace_that_does_not_exist_is_refused(run: Run) -> None:
    result = run("create", "--kind", "api-key", "--workspace-id", OTHER)

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: there is no workspace {OTHER}; ")


def test_the_list_shows_every_token_without_its_secret(run: Run) -> None:
    output = run("list").stdout

    assert {"testDemo", "at1testDemo"} <= set(output.split())
    assert {"revoked", "expired", "good"} <= set(output.split())
    assert "PubLicDemoKeyForLocaLUse" not in output


def test_a_list_can_be_of_one_workspace(service: Service, run: Run) -> None:
    output = run("list", "--workspace-id", service["OTHER_SEAM_WORKSPACE_ID"]).stdout

    assert "testDtwo" in output
    assert "testDxpd" not in output


def test_a_revoked_token_stops_working_within_the_cache_time(service: Service, run: Run) -> None:
    token = run("create", "--kind", "api-key", "--workspace-id", service["SEAM_WORKSPACE_ID"]).stdout.strip()
    request = service.pair()
    assert service.launch(request, token=token).status_code == 200

    result = run("revoke", token.split("_")[1])

    assert result.exit_code == 0, result.output
    deadline = time.monotonic() + CACHE_SECONDS + 0.5
    while (status := service.launch(request, token=token).status_code) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status == 401


def test_both_secrets_of_a_rotated_token_work_and_their_uses_are_noted(service: Service, run: Run) -> None:
    old = run("create", "--kind", "api-key", "--workspace-id", service["SEAM_WORKSPACE_ID"]).stdout.strip()

    new = run("rotate", old.split("_")[1]).stdout.strip()

    assert [service.launch(service.pair(), token=token).status_code for token in (old, new)] == [200, 200]
    listed = {token["token_id"]: token for token in json.loads(run("list", "--json").stdout)}[old.split("_")[1]]
    assert listed["last_used_at"] is not None
    assert listed["former_secret_last_used_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--kind", "api-key"], "Missing option '--workspace-id'"),
        (["create", "--kind", "key", "--workspace-id", "x"], "'key' is not one of"),
        (["create", "--kind", "api-key", "--workspace-id", "x"], "x is not a UUID"),
        (["create", "--kind", "client-session", "--workspace-id", "{workspace}"], "needs user identities"),
        (
            ["create", "--kind", "api-key", "--workspace-id", "{workspace}", "--workspace-id", "{other}"],
            "only a personal access token may enter several workspaces",
        ),
        (
            ["create", "--kind", "api-key", "--workspace-id", "{workspace}", "--expires-in", "soon"],
            "soon is not a duration; write 90m, 12h or 30d",
        ),
        (["revoke", "nobody"], "there is no such token"),
        (["revoke", "testNone"], "there is no such token"),
        (["revoke", "testDemo", "testDtwo"], "name one TOKEN_ID only"),
    ],
)
def test_a_mistake_is_a_clear_line(service: Service, run: Run, arguments: list[str], message: str) -> None:
    workspaces = {"workspace": service["SEAM_WORKSPACE_ID"], "other": service["OTHER_SEAM_WORKSPACE_ID"]}

    result = run(*[argument.format(**workspaces) for argument in arguments])

    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["revoke", TOKEN],
        ["revoke", TOKEN.removeprefix("seam_")],
        ["revoke", f"Bearer {TOKEN}"],
        ["revoke", "Bearer", TOKEN],
        ["revoke", "testDemo", TOKEN],
    ],
)
def test_a_whole_token_in_place_of_its_id_is_a_clear_line_that_does_not_repeat_it(
    run: Run, arguments: list[str]
) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "name only its ID, the part between the two underscores" in " ".join(result.output.split())
    assert "PubLicDemoKeyForLocaLUse" not in result.output


def test_a_token_in_place_of_a_workspace_is_not_repeated(run: Run) -> None:
    result = run("list", "--workspace-id", TOKEN)

    assert result.exit_code == 2
    assert "a token is not a UUID" in result.output
    assert "PubLicDemoKeyForLocaLUse" not in result.output


def test_the_help_shows_examples_a_line_each() -> None:
    output = CliRunner().invoke(tokens, ["--help"]).output

    assert "\n  enrollments tokens list --stack-name enrollment-automations\n" in output


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 101])
def test_a_name_is_a_line_of_printable_text(service: Service, run: Run, name: str) -> None:
    result = run("create", "--kind", "api-key", "--workspace-id", service["SEAM_WORKSPACE_ID"], "--name", name)

    assert result.exit_code == 2
    assert "printable characters" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "or start `make run`"),
        (["--table-name", ""], "name the table"),
        (["--stack-name", "s", "--endpoint-url", "http://127.0.0.1:9"], "a stack's table is on AWS"),
        (["--stack-name", "a", "--table-name", "b"], "name the table"),
        (["--table-name", "nowhere"], "Error: there is no such table; check the table's or stack's name"),
        (["--table-name", "t", "--endpoint-url", "http://127.0.0.1:9"], "Error: http://127.0.0.1:9: Could not connect"),
        (["--table-name", "t", "--endpoint-url", "127.0.0.1:9"], "write it like http://127.0.0.1:8000"),
        (["--table-name", "t", "--endpoint-url", "https://dynamodb.us-east-1.amazonaws.com"], "add --region or"),
        (["--table-name", "t", "--endpoint-url", "ftp://127.0.0.1"], "write it like http://127.0.0.1:8000"),
        (["--table-name", "t", "--profile", "nobody"], "(nobody) could not be found; check --profile"),
    ],
)
@pytest.mark.usefixtures("service")
def test_a_table_that_is_not_there_is_a_clear_line(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no system runs

    result = CliRunner().invoke(tokens, ["list", *options])

    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("without_aws_configuration")
def test_no_region_is_a_clear_line() -> None:
    result = CliRunner().invoke(tokens, ["list", "--table-name", "t"])

    assert result.output == "Error: no AWS region is set; add --region, or set AWS_DEFAULT_REGION\n"


@pytest.mark.usefixtures("without_aws_configuration")
def test_no_credentials_are_a_clear_line() -> None:
    result = CliRunner().invoke(tokens, ["list", "--table-name", "t", "--region", "eu-central-1"])

    assert result.output.startswith("Error: there are no AWS credentials; name a profile that has some (--profile)")
    assert len(result.output.splitlines()) == 1


@pytest.fixture
def without_aws_configuration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with environment({**nothing, "AWS_EC2_METADATA_DISABLED": "true"}, without=("AWS_",)):
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (501, "<html>Unsupported method</html>"),
        (200, "<html>It works!</html>"),
        (200, "{}"),
        (200, "[]"),
        (404, '{"error":{"type":"route_not_found","message":"No such route"},"ok":false}'),
    ],
)
def test_a_server_that_is_not_dynamodb_is_a_clear_line(serve: Serve, status: int, body: str) -> None:
    address = serve(status, body)

    result = CliRunner().invoke(tokens, ["list", "--table-name", "t", "--endpoint-url", address])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {address}: the server is not DynamoDB; check the address")
    assert len(result.output.splitlines()) == 1


def test_a_table_with_other_keys_is_a_clear_line(serve: Serve) -> None:
    address = serve(200, '{"Table":{"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}}')

    result = CliRunner().invoke(tokens, ["list", "--table-name", "t", "--endpoint-url", address])

    assert result.output.startswith(f"Error: {address}: this is not a table of this service")
    assert len(result.output.splitlines()) == 1


ANSWER = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>s</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-01-09T05:45:33.068Z</CreationTime><Outputs>{outputs}</Outputs></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""
VALUES = {"TableName": "enrollments-Table", "Endpoint": "https://e", "DashboardUrl": "https://d"}
OUTPUTS = "".join(
    f"<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>"
    for name, value in VALUES.items()
)
MISSING = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>ValidationError</Code><Message>Stack with id s does not exist</Message></Error></ErrorResponse>"""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with one answer, and returns its address."""
    with ExitStack() as exit_stack:

        def serve_(status: int, body: str) -> str:
            class OneAnswer(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())

                def log_message(self, *_: object) -> None:
                    pass

            server = exit_stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), OneAnswer))
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            exit_stack.callback(thread.join)
            exit_stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield serve_


@pytest.fixture
def answer_describe_stacks(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> Callable[[int, str], None]:
    """Return a function that sets what CloudFormation answers."""
    return lambda status, body: monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", serve(status, body))


@pytest.mark.usefixtures("service")
def test_the_table_of_a_stack_is_read_from_its_outputs(answer_describe_stacks: Callable[[int, str], None]) -> None:
    answer_describe_stacks(200, ANSWER.format(outputs=OUTPUTS))

    result = CliRunner().invoke(tokens, ["list", "--stack-name", "s"])

    assert result.exit_code == 0, result.output
    assert "testDemo" in result.stdout


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, ANSWER.format(outputs=""), "stack s in us-east-1 has no output TableName"),
        (400, MISSING, "there is no stack s in us-east-1; check --stack-name, --region and --profile"),
    ],
)
@pytest.mark.usefixtures("service")
def test_a_stack_that_is_not_ours_is_a_clear_line(
    answer_describe_stacks: Callable[[int, str], None], status: int, body: str, message: str
) -> None:
    answer_describe_stacks(status, body)

    result = CliRunner().invoke(tokens, ["list", "--stack-name", "s"])

    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 1
