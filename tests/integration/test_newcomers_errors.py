"""What a person reads who has just begun: each error is one line that says what to do, whatever the command."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from enrollments.main import main
from tests.commands import ID, arguments_of, commands_with
from tests.fixtures import TABLE_NAME, Store

pytestmark = pytest.mark.long

STACK_COMMANDS = commands_with("stack_name")
# An import makes the workspace if it is not there.
IN_A_WORKSPACE = [
    name for name in STACK_COMMANDS if name in commands_with("workspace_id") and name != "workspaces import"
]
BY_WORKSPACE = [
    "workspaces delete",
    "workspaces export",
    "workspaces prove-deleted",
    "workspaces rename",
    "workspaces show",
]
STACK = "enrollment-automations"
OUTPUTS = {"TableName": TABLE_NAME, "Endpoint": "https://e", "DashboardUrl": "https://d"}
DENIED = "User: arn:aws:iam::123456789012:user/jane is not authorized to perform: x:Do on resource: arn:aws:x because …"


@pytest.fixture(autouse=True)
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing of AWS is set up, and a folder in which nothing runs."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "samconfig.toml").write_text('[default.deploy.parameters]\nstack_name = "enrollment-automations"\n')
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


type Answer = Callable[[Mapping[str, Any]], None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Return a function that sets what AWS answers, by operation, in place of moto: an exception, or an answer."""
    ask: Any = BaseClient._make_api_call  # type: ignore[attr-defined] # noqa: SLF001 - where all requests come by

    def answer_(answers: Mapping[str, Any]) -> None:
        def answered(client: Any, operation: str, request: Any) -> Any:
            found = answers.get(operation, answers.get("*"))
            if isinstance(found, Exception):
                raise found
            return ask(client, operation, request) if found is None else found

        monkeypatch.setattr(BaseClient, "_make_api_call", answered)

    return answer_


def described(**outputs: str) -> dict[str, Any]:
    """Return how AWS describes a stack, and who asks."""
    told = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
    return {
        "DescribeStacks": {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": told}]},
        "GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/jane"},
    }


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def run(name: str, *more: str) -> Result:
    return CliRunner().invoke(main, [*arguments_of(name), *more])


def error_of(result: Result) -> str:
    """Return the error of a command, which has to be one line, and to end it with status 1."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith(("Error: ", "bad "))][:1]
    assert "Traceback" not in result.output
    return f"{line} {' '.join(result.output.splitlines())}"


@pytest.mark.usefixtures("region")
@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_without_credentials_a_command_says_how_to_name_some(name: str) -> None:
    result = run(name, "--stack-name", STACK)

    assert "there are no AWS credentials" in error_of(result)
    assert "name a profile that has some (--profile), or set AWS_ACCESS_KEY_ID" in error_of(result)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_without_a_region_a_command_says_how_to_set_one(name: str) -> None:
    result = run(name, "--stack-name", STACK)

    assert "no AWS region is set" in error_of(result)
    assert "add --region, or set AWS_DEFAULT_REGION" in error_of(result)


@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_a_profile_that_is_not_there_is_named(name: str) -> None:
    result = run(name, "--stack-name", STACK, "--profile", "nobody")

    assert "The config profile (nobody) could not be found" in error_of(result)
    assert "check --profile, or AWS_PROFILE" in error_of(result)


@pytest.mark.usefixtures("credentials", "region")
@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_with_credentials_that_have_expired_a_command_says_to_log_in(answer: Answer, name: str) -> None:
    answer({"*": refusal("ExpiredToken", "The security token included in the request is expired")})

    result = run(name, "--stack-name", STACK)

    assert "your AWS credentials have expired" in error_of(result)
    assert "log in again" in error_of(result)


@pytest.mark.usefixtures("credentials", "region")
@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_without_a_right_a_command_names_it_and_where_the_rights_are(answer: Answer, name: str) -> None:
    answer({"*": refusal("AccessDenied", DENIED)})

    error = error_of(run(name, "--stack-name", STACK))

    assert "you lack the right x:Do here" in error
    assert "docs/operations.md, “Who may do what”" in error


@pytest.mark.usefixtures("credentials", "region")
@pytest.mark.parametrize("name", [name for name in STACK_COMMANDS if name != "deploy check"])
def test_a_stack_that_is_not_there_is_named_with_its_region(answer: Answer, name: str) -> None:
    missing = refusal("ValidationError", "Stack with id nothing does not exist")
    answer(described() | {"DescribeStacks": missing, "DescribeStackResource": missing})

    error = error_of(run(name, "--stack-name", "nothing", "--region", "eu-west-1"))

    assert "stack nothing in eu-west-1" in error
    assert "check --stack-name, --region and --profile" in error


@pytest.mark.usefixtures("credentials", "region")
@pytest.mark.parametrize("name", STACK_COMMANDS)
def test_a_stack_of_something_else_is_refused(answer: Answer, name: str) -> None:
    missing = refusal("ValidationError", "Resource EventsFunction does not exist for stack other")
    answer(described(QueueUrl="https://q") | {"DescribeStackResource": missing})

    error = error_of(run(name, "--stack-name", "other"))

    assert "stack other in us-east-1" in error
    assert "check --stack-name, --region and --profile" in error


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("name", IN_A_WORKSPACE)
def test_a_workspace_that_is_not_there_is_named_with_what_makes_one(store: Store, answer: Answer, name: str) -> None:
    assert not store.items()
    answer(described(**OUTPUTS))

    error = error_of(run(name, "--stack-name", STACK, "--region", "us-east-1"))

    assert f"there is no workspace {ID}" in error
    assert "`enrollments workspaces list` shows all" in error
