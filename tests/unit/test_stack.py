"""The local stack: which function an event is for, what the template names, and what is written after its end."""

import io
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enrollments.local.stack import FunctionLog, Stack
from local_aws.errors import StackError
from local_aws.functions import FunctionDefinition, FunctionError, Functions, NoTurnError
from local_aws.template import TemplateError, load_template

STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/T/stream/2026"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:Q"


@pytest.fixture
def stack() -> Stack:
    """A stack whose functions answer with their name and the number of records."""
    functions = SimpleNamespace(invoke=lambda name, event: (name, len(event["Records"])))
    nothing = cast("Any", None)
    return Stack(nothing, cast("Any", functions), nothing, "T", nothing, {"T": "OfStream", "Q": "OfQueue"})


@pytest.mark.parametrize(("arn", "function"), [(STREAM, "OfStream"), (QUEUE, "OfQueue")])
def test_a_batch_is_for_the_function_of_its_mapping(stack: Stack, arn: str, function: str) -> None:
    assert stack.invoke({"Records": [{"eventSourceARN": arn}, {"eventSourceARN": arn}]}) == (function, 2)


@pytest.mark.parametrize(
    "records",
    [
        [],
        None,
        5,
        ["text"],
        [{}],
        [{"eventSourceARN": 5}],
        [{"eventSourceARN": []}],
        [{"eventSourceARN": "Q"}],
        [{"eventSourceARN": STREAM.replace("table/T", "table/Other")}],
        [{"eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:T"}],
        [{"eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/T"}],
        [{"eventSourceARN": STREAM}, {"eventSourceARN": QUEUE}],
    ],
)
def test_a_batch_that_no_mapping_passes_on_is_refused(stack: Stack, records: Any) -> None:
    with pytest.raises(StackError, match="no mapping for the event's records"):
        stack.invoke({"Records": records})


RESOURCES = """
    Transform: AWS::Serverless-2016-10-31
    Resources:
      Table:
        Type: AWS::DynamoDB::Table
      Queue:
        Type: AWS::SQS::Queue
      Bus:
        Type: AWS::Events::EventBus
        Properties: {Name: events}
      Secret:
        Type: AWS::SecretsManager::Secret
        Properties: {Name: of-webhooks}
      Named:
        Type: AWS::Lambda::Function
        Properties: {FunctionName: named}
      Unnamed:
        Type: AWS::Lambda::Function
      Mapping:
        Type: AWS::Lambda::EventSourceMapping
        Properties:
          Value: %s
"""


def value_of(folder: Path, expression: str) -> Any:
    template = folder / "template.yaml"
    template.write_text(textwrap.dedent(RESOURCES % expression))
    return load_template(template, {})["Mapping"].properties["Value"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!GetAtt Table.StreamArn", "arn:aws:dynamodb:us-east-1:123456789012:table/enrollments-Table/stream/local"),
        ("!Ref Queue", "https://sqs.us-east-1.amazonaws.com/123456789012/enrollments-Queue"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:123456789012:enrollments-Queue"),
        ("!GetAtt Queue.QueueName", "enrollments-Queue"),
        ("!Ref Bus", "events"),
        ("!GetAtt Bus.Arn", "arn:aws:events:us-east-1:123456789012:event-bus/events"),
        ("!Ref Secret", "arn:aws:secretsmanager:us-east-1:123456789012:secret:of-webhooks"),
        ("!Ref Named", "named"),
        ("!GetAtt Named.Arn", "arn:aws:lambda:us-east-1:123456789012:function:named"),
        ("!Ref Unnamed", "enrollments-Unnamed"),
        ("!GetAtt Unnamed.Arn", "arn:aws:lambda:us-east-1:123456789012:function:enrollments-Unnamed"),
    ],
)
def test_a_reference_has_the_form_that_aws_gives_it(tmp_path: Path, expression: str, value: str) -> None:
    assert value_of(tmp_path, expression) == value


@pytest.mark.parametrize("expression", ["!GetAtt Queue.QueueUrl", "!GetAtt Secret.Id", "!GetAtt Bus.Policy"])
def test_an_attribute_that_is_not_known_is_refused(tmp_path: Path, expression: str) -> None:
    with pytest.raises(TemplateError, match="cannot be interpreted here"):
        value_of(tmp_path, expression)


def test_nothing_is_logged_or_shown_after_the_end() -> None:
    with io.StringIO() as file, io.StringIO() as terminal:
        log = FunctionLog(file, terminal)
        print('{"exception": "shown"}', file=log)
        log.end()
        print('{"exception": "late"}', file=log, flush=True)

        assert (file.getvalue(), terminal.getvalue()) == ('{"exception": "shown"}\n', "shown\n")

    print("later", file=log, flush=True)


def functions(folder: Path, source: str, terminal: io.StringIO) -> Functions:
    (folder / "app.py").write_text(source)
    definition = FunctionDefinition("F", folder, "app", "handle", 3, 128, {})
    return Functions([definition], [], log=io.StringIO(), terminal=terminal, at_once={"F"})


def test_nothing_is_invoked_after_the_end(tmp_path: Path) -> None:
    ended = functions(tmp_path, "raise RuntimeError", io.StringIO())

    ended.close()

    with pytest.raises(NoTurnError, match="has ended"):
        ended.invoke("F", {})
    with pytest.raises(NoTurnError, match="has ended"):
        ended.handler("F")


def test_a_function_that_fails_after_the_end_shows_nothing(tmp_path: Path) -> None:
    source = "import threading\nbegun, go_on = threading.Event(), threading.Event()\n"
    source += "def handle(event, context):\n    begun.set()\n    go_on.wait(5)\n    raise RuntimeError\n"
    terminal = io.StringIO()
    ending = functions(tmp_path, source, terminal)
    variables = cast("Any", ending.handler("F")).__globals__

    with ThreadPoolExecutor() as executor:
        invoked = executor.submit(ending.invoke, "F", {})
        assert variables["begun"].wait(5)
        ending.close()
        variables["go_on"].set()

    assert isinstance(invoked.exception(), FunctionError)
    assert terminal.getvalue() == ""
