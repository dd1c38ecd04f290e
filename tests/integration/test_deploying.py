"""What ``make deploy`` looks at before it builds, and what it shows when it is done."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from enrollments.deploying import ANSWERS
from enrollments.main import main

WHO = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/jane"}
NO_STACK = ClientError({"Error": {"Code": "ValidationError", "Message": "Stack with id s does not exist"}}, "Describe")
OUTPUTS = {"TableName": "t", "Endpoint": "https://api.example.com/prod", "DashboardUrl": "d"}
SAVED = """
[default.global.parameters]
region = "eu-west-1"

[default.deploy.parameters]
stack_name = "saved"
parameter_overrides = "ApiGatewayLogsRole=\\"Keep\\""
"""


def stack(status: str = "UPDATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    told = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
    return {"Stacks": [{"StackStatus": status, "Outputs": told}]}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What AWS answers, by operation: a region without a stack, and without a role for API Gateway."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.chdir(tmp_path)
    Path("samconfig.toml").write_text('[default.deploy.parameters]\nstack_name = "enrollment-automations"\n')
    known: dict[str, Any] = {"GetCallerIdentity": WHO, "DescribeStacks": NO_STACK, "GetAccount": {}}

    def answer(_: Any, operation: str, __: Any) -> Any:
        found = known[operation]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    return known


@pytest.fixture
def built() -> Path:
    """What a build leaves, an hour ago."""
    template = Path(".aws-sam/build/template.yaml")
    template.parent.mkdir(parents=True)
    template.touch()
    an_hour_ago = time.time() - 3600
    os.utime(template, (an_hour_ago, an_hour_ago))
    return template


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["deploy", *arguments])


@pytest.mark.usefixtures("answers")
def test_a_first_deployment_says_where_it_goes_and_who_deploys() -> None:
    result = run("check")

    assert result.exit_code == 0, result.output
    assert result.output == (
        "Deploying enrollment-automations in us-east-1, account 123456789012, arn:aws:iam::123456789012:user/jane\n"
    )


@pytest.mark.usefixtures("answers")
def test_arguments_of_sam_say_which_stack_it_is_and_others_pass() -> None:
    overrides = ["--parameter-overrides", "MemorySize=512", "LogRetentionDays=60"]

    result = run("check", "--no-confirm-changeset", "--stack-name=mine", *overrides, "--region", "eu-central-1")

    assert result.exit_code == 0, result.output
    assert "Deploying mine in eu-central-1" in result.output


@pytest.mark.usefixtures("answers")
def test_what_was_answered_before_says_which_stack_it_is() -> None:
    ANSWERS.write_text(SAVED)

    result = run("check")

    assert "Deploying saved in eu-west-1" in result.output


@pytest.mark.usefixtures("answers")
def test_the_answers_to_guided_go_to_a_file_of_their_own() -> None:
    run("check", "--guided")

    assert ANSWERS.read_text() == Path("samconfig.toml").read_text()


@pytest.mark.usefixtures("answers")
def test_answers_that_are_there_stay_for_the_next_guided_deployment() -> None:
    ANSWERS.write_text(SAVED)

    run("check", "--guided")

    assert ANSWERS.read_text() == SAVED


@pytest.mark.usefixtures("answers")
def test_answers_that_cannot_be_read_are_a_clear_line() -> None:
    ANSWERS.write_text("[")

    result = run("check")

    assert result.exit_code == 1
    assert result.output.startswith("Error: samconfig.local.toml cannot be read")


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("content", ["default = 1", "[default]\ndeploy = 1", "[default.deploy]\nparameters = 'x'"])
def test_answers_of_another_form_are_a_clear_line(content: str) -> None:
    ANSWERS.write_text(content)

    result = run("check")

    assert result.exit_code == 1
    assert result.output.startswith("Error: samconfig.local.toml is not of the form that SAM writes")


@pytest.mark.usefixtures("answers")
def test_a_configuration_that_is_not_toml_is_a_clear_line() -> None:
    Path("sam.yaml").write_text("version: 0.1\n")

    result = run("check", "--config-file", "sam.yaml")

    assert result.exit_code == 1
    assert result.output == "Error: sam.yaml is not TOML; write it as TOML, which SAM takes, too\n"


def test_a_first_deployment_does_not_replace_the_role_of_other_apis(answers: dict[str, Any]) -> None:
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check")

    assert result.exit_code == 1
    assert "API Gateway has a role for its logs in us-east-1 already, arn:role" in result.output
    assert "ApiGatewayLogsRole=Keep" in result.output


@pytest.mark.parametrize("choice", ["Keep", "Create"])
def test_who_chooses_what_becomes_of_the_role_can_deploy(answers: dict[str, Any], choice: str) -> None:
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check", "--parameter-overrides", "MemorySize=512", f"ApiGatewayLogsRole={choice}")

    assert result.exit_code == 0, result.output


def test_what_was_chosen_for_this_stack_is_used_again(answers: dict[str, Any]) -> None:
    ANSWERS.write_text(SAVED)
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check")

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("other", [["--stack-name", "second"], ["--region", "eu-central-1"]])
def test_what_was_chosen_for_another_stack_is_no_choice(answers: dict[str, Any], other: list[str]) -> None:
    ANSWERS.write_text(SAVED)
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check", *other)

    assert result.exit_code == 1
    assert "ApiGatewayLogsRole=Keep" in result.output


def test_who_is_asked_is_told_of_the_role_also_if_the_suggested_stack_is_there(answers: dict[str, Any]) -> None:
    answers["DescribeStacks"] = stack(**OUTPUTS)
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check", "--guided")

    assert result.exit_code == 0, result.output
    assert "answer Keep to ApiGatewayLogsRole" in result.output


def test_who_is_asked_can_name_another_stack_than_one_that_cannot_be_updated(answers: dict[str, Any]) -> None:
    answers["DescribeStacks"] = stack("ROLLBACK_COMPLETE")

    result = run("check", "--guided")

    assert result.exit_code == 0, result.output
    assert (
        "Answer another name, or mend this first: stack enrollment-automations in us-east-1 was never" in result.output
    )


def test_who_is_asked_is_told_what_to_answer_about_the_role(answers: dict[str, Any]) -> None:
    answers["GetAccount"] = {"cloudwatchRoleArn": "arn:role"}

    result = run("check", "--guided")

    assert result.exit_code == 0, result.output
    assert "answer Keep to ApiGatewayLogsRole" in result.output


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (stack("ROLLBACK_COMPLETE"), "“A first deploy that failed”"),
        (stack("UPDATE_ROLLBACK_FAILED", **OUTPUTS), "aws cloudformation continue-update-rollback --stack-name"),
        (stack("DELETE_IN_PROGRESS", **OUTPUTS), "is DELETE_IN_PROGRESS; wait until that has ended"),
        (stack("UPDATE_IN_PROGRESS", **OUTPUTS), "is UPDATE_IN_PROGRESS; wait until that has ended"),
        (stack(QueueUrl="https://q"), "is not one of this service"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_known_before_the_build(
    answers: dict[str, Any], described: Mapping[str, Any], message: str
) -> None:
    answers["DescribeStacks"] = described

    result = run("check")

    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 2


def test_what_is_deployed_is_shown_with_the_next_command(answers: dict[str, Any]) -> None:
    answers["DescribeStacks"] = stack(**OUTPUTS)

    result = run("show", "--stack-name", "mine", "--region", "eu-west-1")

    assert result.output.splitlines() == [
        "Endpoint:  https://api.example.com/prod",
        "Next:      .venv/bin/enrollments workspaces create --stack-name mine --region eu-west-1 "
        '--with-key "Main Street"',
        "To check:  .venv/bin/enrollments doctor --stack-name mine --region eu-west-1",
    ]


def test_answers_that_sam_has_saved_say_which_stack_is_shown(answers: dict[str, Any], built: Path) -> None:
    answers["DescribeStacks"] = stack(**OUTPUTS)
    ANSWERS.write_text(SAVED)

    result = run("show", "--guided")

    assert "--stack-name saved --region eu-west-1" in result.output
    assert built.stat().st_mtime < ANSWERS.stat().st_mtime


def test_answers_that_nobody_has_saved_are_not_those_of_another_stack(answers: dict[str, Any], built: Path) -> None:
    answers["DescribeStacks"] = stack(**OUTPUTS)
    ANSWERS.write_text(SAVED)
    built.touch()

    result = run("show", "--guided")

    assert result.exit_code == 0, result.output
    assert result.output == (
        "The answers are not in samconfig.local.toml, so name the stack that you answered:\n"
        "  .venv/bin/enrollments deploy show --stack-name NAME --region REGION\n"
    )
