"""What the doctor says of what AWS tells, without AWS."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from enrollments.doctor import work
from enrollments.doctor.findings import Finding, Verdict, good, look_at
from enrollments.doctor.patient import Patient
from enrollments.doctor.rights import look_at_rights
from enrollments.doctor.stack import (
    FUNCTIONS,
    look_at_functions,
    look_at_mappings,
    look_at_role,
    look_at_secrets,
    look_at_stack,
    look_at_table,
)
from enrollments.doctor.work import look_at_executions, look_at_queues, look_at_stream, look_at_tokens
from enrollments.stacks import DeployedStack
from local_aws.template import expand_template
from tests.fixtures import PROJECT
from tests.unit.test_version import VERSION

type Answers = Mapping[str, Any]
type Examine = Callable[[Patient], Iterable[Finding]]

NOW = datetime.now(UTC)
IDS = {
    **{name: f"s-{name}" for name in FUNCTIONS},
    "EventsFailuresQueue": "https://sqs/s-failures",
    "DeliveriesDeadLetterQueue": "https://sqs/s-dead",
    "DeliveriesQueue": "https://sqs/s-deliveries",
    "ClientSessionsSecret": "arn:aws:sessions",
    "ConnectorsSecret": "arn:aws:connectors",
    "WebhooksSecret": "arn:aws:webhooks",
}
OUTPUTS = {"TableName": "s-Table", "Endpoint": "https://e", "DashboardUrl": "d", "Release": VERSION}
TABLE: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    "DeletionProtectionEnabled": True,
    "LatestStreamArn": "arn:stream",
}
RECOVERY = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
EMPTY = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "QueueArn": "arn:queue"}
MAPPING = {"UUID": "u", "State": "Enabled", "LastProcessingResult": "OK"}
# What AWS answers while all is well.
WELL: Answers = {
    "describe_table": {"Table": TABLE},
    "describe_continuous_backups": {"ContinuousBackupsDescription": RECOVERY},
    "describe_time_to_live": {
        "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "deleted_after"}
    },
    "get_account": {"cloudwatchRoleArn": "arn:role"},
    "get_alias": {"FunctionVersion": "3"},
    "get_function_configuration": {"State": "Active"},
    "list_event_source_mappings": {"EventSourceMappings": [MAPPING]},
    "list_durable_executions_by_function": {"DurableExecutions": []},
    "get_metric_statistics": {"Datapoints": []},
    "get_queue_attributes": {"Attributes": EMPTY},
    "describe_stream": {"StreamDescription": {"Shards": [{"ShardId": "shard"}]}},
    "get_shard_iterator": {"ShardIterator": "i"},
}
EVERYTHING: list[Examine] = [
    look_at_stack,
    look_at_rights,
    look_at_table,
    look_at_role,
    look_at_functions,
    look_at_mappings,
    look_at_executions,
    look_at_stream,
    look_at_queues,
    look_at_secrets,
]


class Client:
    """A client of any service, which answers what a test says."""

    def __init__(self, answers: Answers, endpoint: str) -> None:
        self._answers = answers
        self.meta = type("Meta", (), {"endpoint_url": endpoint})
        self.exceptions = type(
            "Exceptions", (), {"ResourceNotFoundException": Missing, "TransactionCanceledException": Cancelled}
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(**_: Any) -> Any:
            found = self._answers.get(name, {})
            if isinstance(found, Exception):
                raise found
            return found

        return answer


def refusal(code: str, message: str = "m") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Do")


class Missing(ClientError):
    """A thing is not there."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceNotFoundException", "Message": "m"}}, "Do")


class Cancelled(ClientError):
    """A transaction is cancelled."""


class Session:
    """Makes clients that answer what a test says."""

    def __init__(self, answers: Answers, endpoint: str) -> None:
        self._answers = answers
        self._endpoint = endpoint

    def client(self, _: str) -> Client:
        return Client(self._answers, self._endpoint)


def patient(answers: Answers, *, on_aws: bool = True, **stack: Any) -> Patient:
    endpoint = "https://monitoring.us-east-1.amazonaws.com" if on_aws else "http://127.0.0.1:5000"
    session: Any = Session({**WELL, **answers}, endpoint)
    known = {"status": "UPDATE_COMPLETE", "outputs": OUTPUTS, "parameters": {}}
    return Patient(session, DeployedStack("s", "us-east-1", **{**known, **stack}), IDS)


def verdicts(examine: Examine, answers: Answers, **more: Any) -> list[Verdict]:
    return [finding.verdict for finding in examine(patient(answers, **more))]


@pytest.mark.parametrize("examine", EVERYTHING)
def test_while_all_is_well_everything_is_good(examine: Examine) -> None:
    assert set(verdicts(examine, {})) == {Verdict.GOOD}


@pytest.mark.parametrize(
    ("examine", "answers", "stack", "found", "remedy"),
    [
        (look_at_stack, {}, {"outputs": OUTPUTS | {"Release": "0.1.0"}}, "release 0.1.0", "make deploy"),
        (look_at_stack, {}, {"status": "UPDATE_IN_PROGRESS"}, "UPDATE_IN_PROGRESS", "wait"),
        (look_at_stack, {}, {"status": "UPDATE_ROLLBACK_FAILED"}, "the way back", "continue-update-rollback"),
        (look_at_stack, {}, {"status": "UPDATE_FAILED"}, "was not taken back", "aws cloudformation rollback-stack"),
        (look_at_stack, {}, {"status": "IMPORT_ROLLBACK_FAILED"}, "IMPORT_ROLLBACK_FAILED", "AWS Support"),
        (look_at_secrets, {"describe_secret": Missing()}, {}, "ClientSessionsSecret is gone", "restore-secret"),
        (
            look_at_secrets,
            {"describe_secret": {"DeletedDate": NOW}},
            {},
            "ClientSessionsSecret is to be deleted",
            "restore-secret --secret-id arn:aws:sessions",
        ),
        (
            look_at_functions,
            {"get_function_configuration": {"State": "Active", "LastUpdateStatus": "Failed"}},
            {},
            "its last update failed",
            "make deploy",
        ),
        (
            look_at_mappings,
            {"list_event_source_mappings": {"EventSourceMappings": [{"UUID": "u"}]}},
            {},
            "it is in an unknown state",
            "--uuid u --enabled",
        ),
        (
            look_at_table,
            {"describe_continuous_backups": {"ContinuousBackupsDescription": {}}},
            {},
            "no point-in-time recovery",
            "aws dynamodb update-continuous-backups",
        ),
        (
            look_at_table,
            {"describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}},
            {},
            "nothing expires",
            "aws dynamodb update-time-to-live",
        ),
        (
            look_at_table,
            {"describe_table": {"Table": TABLE | {"StreamSpecification": {}}}},
            {},
            "no stream",
            "--stream-specification",
        ),
        (
            look_at_table,
            {"describe_table": {"Table": TABLE | {"DeletionProtectionEnabled": False}}},
            {},
            "not protected against deletion",
            "--deletion-protection-enabled",
        ),
        (
            look_at_table,
            {},
            {"parameters": {"RestoredTableName": "s-Table", "RestoredTableStreamArn": "arn:other"}},
            "follow another stream",
            "RestoredTableStreamArn",
        ),
        (
            look_at_role,
            {"get_account": {}},
            {},
            "there is none",
            "--stack-name s --region us-east-1 --parameter-overrides ApiGatewayLogsRole=Create",
        ),
        (look_at_functions, {"get_alias": Missing()}, {}, "has no alias live", "make deploy"),
        (
            look_at_functions,
            {"get_function_configuration": {"State": "Failed", "StateReason": "r"}},
            {},
            "is Failed: r",
            "make deploy",
        ),
        (
            look_at_functions,
            {"get_alias": {"RoutingConfig": {"AdditionalVersionWeights": {"4": 0.1}}}},
            {},
            "being shifted",
            "wait for CodeDeploy",
        ),
        (look_at_mappings, {"list_event_source_mappings": {"EventSourceMappings": []}}, {}, "nothing", "make deploy"),
        (
            look_at_mappings,
            {"list_event_source_mappings": {"EventSourceMappings": [MAPPING | {"State": "Disabled"}]}},
            {},
            "it is Disabled",
            "--uuid u --enabled",
        ),
        (
            look_at_mappings,
            {
                "list_event_source_mappings": {
                    "EventSourceMappings": [MAPPING | {"LastProcessingResult": "PROBLEM: Function call failed"}]
                }
            },
            {},
            "PROBLEM: Function call failed",
            "log",
        ),
        (
            look_at_executions,
            {"list_durable_executions_by_function": {"DurableExecutions": [{}, {"EndTimestamp": NOW}]}},
            {},
            "2 failed or timed out in the last day",
            "provisioning check --mend",
        ),
        (
            look_at_stream,
            {"get_metric_statistics": {"Datapoints": [{"Maximum": 5.0}, {"Maximum": 61_000.0}]}},
            {},
            "61 s at most",
            "EventsAgeAlarm",
        ),
        (
            look_at_queues,
            {"get_queue_attributes": {"Attributes": EMPTY | {"ApproximateNumberOfMessages": "2"}}},
            {},
            "2 messages that failed",
            "enrollments events resend --stack-name s",
        ),
    ],
)
def test_what_is_wrong_is_bad_and_says_what_to_do(
    examine: Examine, answers: Answers, stack: dict[str, Any], found: str, remedy: str
) -> None:
    first = next(iter(examine(patient(answers, **stack))))

    assert first.verdict is Verdict.BAD
    assert found in first.found
    assert remedy in first.remedy


def test_a_delivery_that_waits_for_long_is_bad() -> None:
    late = {"get_metric_statistics": {"Datapoints": [{"Maximum": 300.0}]}}

    assert verdicts(look_at_queues, late) == [Verdict.GOOD, Verdict.GOOD, Verdict.BAD]


def test_a_table_that_was_chosen_to_be_unprotected_is_good() -> None:
    unprotected = {"describe_table": {"Table": TABLE | {"DeletionProtectionEnabled": False}}}

    assert verdicts(look_at_table, unprotected, parameters={"TableDeletionProtection": "false"}) == [Verdict.GOOD]


@pytest.mark.parametrize(
    ("examine", "answers"),
    [
        (look_at_role, {"get_account": {}}),
        (look_at_functions, {"get_alias": Missing()}),
        (look_at_mappings, {"list_event_source_mappings": {"EventSourceMappings": []}}),
        (look_at_stream, {}),
    ],
)
def test_what_a_stand_in_cannot_know_is_never_good(examine: Examine, answers: Answers) -> None:
    assert set(verdicts(examine, answers, on_aws=False)) == {Verdict.NOT_LOOKED_AT}


def test_a_right_that_is_missing_is_named() -> None:
    message = "User: u is not authorized to perform: dynamodb:Scan on resource: r"
    denied = {"scan": refusal("AccessDeniedException", message)}

    (finding,) = look_at_rights(patient(denied))

    assert finding.found == "you may not do dynamodb:Scan"
    assert "Who may do what" in finding.remedy


def test_an_operation_that_is_missing_is_named_where_aws_names_no_right() -> None:
    denied = {"receive_message": ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "ReceiveMessage")}

    (finding,) = look_at_rights(patient(denied))

    assert finding.found == "you may not do ReceiveMessage"


@pytest.mark.parametrize(
    ("operation", "error", "found"),
    [
        ("get_secret_value", Missing(), "ClientSessionsSecret: "),
        ("get_queue_attributes", refusal("AWS.SimpleQueueService.NonExistentQueue"), "GetQueueAttributes: "),
        ("scan", refusal("ProvisionedThroughputExceededException"), "Scan: "),
        ("get_item", refusal("ValidationException", "the KMS key is disabled"), "the KMS key is disabled"),
    ],
)
def test_what_is_refused_for_another_reason_is_no_right(operation: str, error: Exception, found: str) -> None:
    (finding,) = look_at_rights(patient({operation: error}))

    assert finding.verdict is Verdict.BAD
    assert found in finding.found


def test_a_message_that_nobody_has_received_cannot_be_deleted_and_that_is_expected() -> None:
    assert verdicts(look_at_rights, {"delete_message": refusal("ReceiptHandleIsInvalid")}) == [Verdict.GOOD]


def test_a_deploy_that_was_taken_back_is_told() -> None:
    (finding,) = look_at_stack(patient({}, status="UPDATE_ROLLBACK_COMPLETE"))

    assert finding.verdict is Verdict.GOOD
    assert "the last deploy failed and was taken back" in finding.found


def test_a_function_that_is_not_there_is_bad() -> None:
    known = patient({})
    without = Patient(known.session, known.stack, {name: one for name, one in IDS.items() if name != "AcsFunction"})

    (finding,) = look_at_functions(without)

    assert (finding.verdict, finding.found) == (Verdict.BAD, "AcsFunction is not there")


def test_the_functions_that_are_looked_at_are_those_of_the_template() -> None:
    resources = expand_template(PROJECT / "template.yaml")["Resources"]

    assert sorted(FUNCTIONS) == sorted(
        name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Function"
    )


def test_an_execution_that_failed_before_yesterday_is_not_told_again() -> None:
    old = {"DurableExecutions": [{"EndTimestamp": NOW - timedelta(hours=25)}]}

    found = verdicts(look_at_executions, {"list_durable_executions_by_function": old})

    assert set(found) == {Verdict.GOOD}


def test_a_token_that_ends_soon_is_rotated_with_a_later_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = (NOW + timedelta(days=20)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    token: Any = type("Token", (), {"token_id": "id", "revoked_at": None, "expires_at": ends})
    monkeypatch.setattr(work, "list_tokens", lambda _: [token])
    table: Any = None

    (finding,) = look_at_tokens(table)

    assert "within 30 days" in finding.found
    assert "--expires-in 90d" in finding.remedy


def test_rights_are_tried_without_a_change() -> None:
    cancelled = {"transact_write_items": Cancelled({"Error": {"Code": "c", "Message": "m"}}, "TransactWriteItems")}

    assert verdicts(look_at_rights, cancelled) == [Verdict.GOOD]


def _raise(error: Exception) -> Iterator[Finding]:
    yield good("first", "f")
    raise error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (refusal("404"), Verdict.NOT_LOOKED_AT),
        (refusal("InternalFailure"), Verdict.NOT_LOOKED_AT),
        (refusal("AccessDenied"), Verdict.BAD),
        (EndpointConnectionError(endpoint_url="http://h"), Verdict.BAD),
    ],
)
def test_a_refusal_is_a_finding_and_what_was_found_before_stays(error: Exception, verdict: Verdict) -> None:
    first, second = look_at("it", lambda: _raise(error))

    assert first == good("first", "f")
    assert (second.about, second.verdict) == ("it", verdict)


def test_what_to_do_is_a_part_of_its_own() -> None:
    (_, finding) = look_at("it", lambda: _raise(refusal("ExpiredToken")))

    assert (finding.found, finding.remedy) == ("your AWS credentials have expired", "log in again")


def test_a_stack_of_an_older_release_that_lacks_something_is_a_finding() -> None:
    older = patient({})
    without_queue = Patient(older.session, older.stack, {name: one for name, one in IDS.items() if "Queue" not in name})

    (finding,) = look_at("queues", lambda: look_at_queues(without_queue))

    assert (finding.found, finding.remedy) == (
        "stack s has no EventsFailuresQueue",
        "deploy this release: make deploy ARGS='--stack-name s --region us-east-1'",
    )
