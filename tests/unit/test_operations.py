"""What an operator sees: alarms, the dashboard, logs and traces of the expanded template."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local_aws.template import Resource, expand_template, load_template
from tests.fixtures import PROJECT

# A namespace, a name, and dimensions with their values.
type Metric = tuple[str, str, Mapping[str, str]]

# Those that answer a request, and those that run behind them.
FUNCTIONS = ("Authorizer", "EnrollmentAutomations", "UserIdentities", "Acs", "Phones", "EventsApi", "ClientSessions")
DURABLE = ("Provisioning", "Redeliveries")
BACKGROUND = ("Deliveries", "Events", *DURABLE)
ALL_FUNCTIONS = (*FUNCTIONS, *BACKGROUND)
STACK = "enrollments"
NAMES = {
    **{name: f"{STACK}-{name}Function" for name in ALL_FUNCTIONS},
    **{name: f"{STACK}-{name.lower()}" for name in DURABLE},
}
LEADING_KEYS = "dynamodb:LeadingKeys"
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"

# What AWS publishes, with which dimensions: the developer guides' "metrics and dimensions".
OF_LAMBDA = ("ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles")
# "Monitoring durable functions".  That they have this one dimension is seen in use, not in AWS's documents.
OF_DURABLE_FUNCTIONS = tuple(f"DurableExecution{end}" for end in ("Failed", "Started", "Succeeded", "TimedOut"))
OF_API_GATEWAY = ("4XXError", "5XXError", "Count", "Latency")
OF_DYNAMODB = (
    "ConsumedReadCapacityUnits",
    "ConsumedWriteCapacityUnits",
    "ReadThrottleEvents",
    "TransactionConflict",
    "WriteThrottleEvents",
)
OF_SQS = ("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible")
PUBLISHED = {
    *(("AWS/Lambda", name, ("FunctionName",)) for name in (*OF_LAMBDA, *OF_DURABLE_FUNCTIONS)),
    *(("AWS/Lambda", name, ("FunctionName", "Resource")) for name in (*OF_LAMBDA, "IteratorAge")),
    *(("AWS/ApiGateway", name, ("ApiName", "Stage")) for name in OF_API_GATEWAY),
    *(("AWS/DynamoDB", name, ("TableName",)) for name in OF_DYNAMODB),
    *(("AWS/SQS", name, ("QueueName",)) for name in OF_SQS),
}
VALUES = {
    "ApiName": {STACK},
    "FunctionName": set(NAMES.values()),
    "QueueName": {
        f"{STACK}-{name}" for name in ("DeliveriesDeadLetterQueue", "DeliveriesQueue", "EventsFailuresQueue")
    },
    "Resource": {f"{name}:live" for name in NAMES.values()},
    "Stage": {"prod"},
    "TableName": {f"{STACK}-Table"},
    "service": {"enrollment_automations"},
    "stack": {STACK},
}
# Nothing that a client writes.  It can choose the request id, which is the one that it asks about.
LOGGED = {
    "$context.authorizer.latency",
    "$context.authorizer.token_id",
    "$context.authorizer.token_kind",
    "$context.error.responseType",
    "$context.extendedRequestId",
    "$context.httpMethod",
    "$context.identity.sourceIp",
    "$context.integrationLatency",
    "$context.requestId",
    "$context.requestTimeEpoch",
    "$context.resourcePath",
    "$context.responseLatency",
    "$context.responseLength",
    "$context.status",
    "$context.xrayTraceId",
}


@pytest.fixture(scope="module")
def resources() -> dict[str, Resource]:
    return load_template(PROJECT / "template.yaml", {"AlarmTopicArn": TOPIC})


@pytest.fixture(scope="module")
def expanded() -> dict[str, Any]:
    return expand_template(PROJECT / "template.yaml")


@pytest.fixture(scope="module")
def alarms(resources: dict[str, Resource]) -> dict[str, Mapping[str, Any]]:
    return {name: found.properties for name, found in resources.items() if found.type == "AWS::CloudWatch::Alarm"}


def metric_of(alarm: Mapping[str, Any]) -> Metric:
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}
    return alarm["Namespace"], alarm["MetricName"], dimensions


def widgets(resources: Mapping[str, Resource]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(resources["Dashboard"].properties["DashboardBody"])["widgets"]
    return found


def rows_of(resources: Mapping[str, Resource]) -> list[list[Any]]:
    """Return the metrics of the dashboard, without what is searched for."""
    rows = [row for widget in widgets(resources) for row in widget["properties"]["metrics"]]
    return [row for row in rows if isinstance(row[0], str)]


def transformations(resources: Mapping[str, Resource]) -> list[Mapping[str, Any]]:
    return [
        transformation
        for found in resources.values()
        if found.type == "AWS::Logs::MetricFilter"
        for transformation in found.properties["MetricTransformations"]
    ]


def counted_from_logs(resources: Mapping[str, Resource]) -> set[tuple[str, str]]:
    """Return the metrics that are counted from logs as a whole, with no dimension."""
    return {
        (transformation["MetricNamespace"], transformation["MetricName"])
        for transformation in transformations(resources)
        if "Dimensions" not in transformation
    }


@pytest.mark.parametrize("name", BACKGROUND)
def test_each_function_in_the_background_has_alarms_on_errors_and_throttles(
    alarms: dict[str, Mapping[str, Any]], name: str
) -> None:
    live = {"FunctionName": NAMES[name], "Resource": f"{NAMES[name]}:live"}

    assert metric_of(alarms[f"{name}ErrorsAlarm"]) == ("AWS/Lambda", "Errors", live)
    assert metric_of(alarms[f"{name}ThrottlesAlarm"]) == ("AWS/Lambda", "Throttles", live)


@pytest.mark.parametrize("name", DURABLE)
def test_each_durable_function_has_alarms_on_executions_that_fail_or_take_too_long(
    alarms: dict[str, Mapping[str, Any]], name: str
) -> None:
    of_function = {"FunctionName": NAMES[name]}

    assert metric_of(alarms[f"{name}FailedAlarm"]) == ("AWS/Lambda", "DurableExecutionFailed", of_function)
    assert metric_of(alarms[f"{name}TimedOutAlarm"]) == ("AWS/Lambda", "DurableExecutionTimedOut", of_function)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_alarms_on_errors_throttles_and_latency(
    alarms: dict[str, Mapping[str, Any]], name: str
) -> None:
    live = {"FunctionName": NAMES[name], "Resource": f"{NAMES[name]}:live"}

    assert metric_of(alarms[f"{name}ErrorsAlarm"]) == ("AWS/Lambda", "Errors", live)
    assert metric_of(alarms[f"{name}ThrottlesAlarm"]) == ("AWS/Lambda", "Throttles", live)
    assert metric_of(alarms[f"{name}LatencyAlarm"]) == ("AWS/Lambda", "Duration", live)
    assert alarms[f"{name}LatencyAlarm"]["ExtendedStatistic"] == "p99"


@pytest.mark.parametrize("kind", ["Errors", "Throttles", "Latency"])
def test_alarms_of_functions_differ_in_the_function_its_text_and_its_limit(
    alarms: dict[str, Mapping[str, Any]], kind: str
) -> None:
    own = {"AlarmDescription", "Dimensions", "Threshold"}
    with_latency = FUNCTIONS if kind == "Latency" else ALL_FUNCTIONS

    first, *others = (
        {key: value for key, value in alarms[f"{name}{kind}Alarm"].items() if key not in own} for name in with_latency
    )

    assert others == [first] * (len(with_latency) - 1)


def test_no_line_of_the_template_needs_scrolling_sideways() -> None:
    lines = (PROJECT / "template.yaml").read_text().splitlines()

    assert not [number for number, line in enumerate(lines, 1) if len(line) > 160]


def test_the_gateway_the_authorizer_the_table_and_the_events_have_alarms(
    alarms: dict[str, Mapping[str, Any]],
) -> None:
    of_functions = {f"{name}{kind}Alarm" for name in FUNCTIONS for kind in ("Errors", "Throttles", "Latency")}
    of_functions |= {f"{name}{kind}Alarm" for name in BACKGROUND for kind in ("Errors", "Throttles")}
    of_functions |= {f"{name}{kind}Alarm" for name in DURABLE for kind in ("Failed", "TimedOut")}

    assert alarms.keys() - of_functions == {
        "ApiErrorsAlarm",
        "ApiLatencyAlarm",
        "ApiThrottlesAlarm",
        "AuthorizerFailuresAlarm",
        "DeliveriesAgeAlarm",
        "DeliveriesDeadLettersAlarm",
        "EnrollmentsWaitingAlarm",
        "EventsAgeAlarm",
        "EventsFailuresAlarm",
        "ManagerFailuresAlarm",
        "ManagersPausedAlarm",
        "TableReadThrottlesAlarm",
        "TableWriteThrottlesAlarm",
        "WebhooksSwitchedOffAlarm",
        *(f"{name}DefectsAlarm" for name in ALL_FUNCTIONS if name != "Authorizer"),
    }


def test_every_alarm_is_about_a_metric_that_exists(
    resources: dict[str, Resource], alarms: dict[str, Mapping[str, Any]]
) -> None:
    found = [metric_of(alarm) for alarm in alarms.values()]

    assert not [
        (namespace, name, dimensions)
        for namespace, name, dimensions in found
        if (namespace, name, tuple(dimensions)) not in PUBLISHED
        and ((namespace, name) not in counted_from_logs(resources) or dimensions)
    ]
    assert not [value for *_, dimensions in found for key, value in dimensions.items() if value not in VALUES[key]]


def test_what_is_counted_from_logs_is_watched(
    resources: dict[str, Resource], alarms: dict[str, Mapping[str, Any]]
) -> None:
    watched = {metric_of(alarm)[:2] for alarm in alarms.values()}

    assert counted_from_logs(resources) <= watched


def test_alarms_are_sent_and_silence_is_no_alarm(alarms: dict[str, Mapping[str, Any]]) -> None:
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"]


# What happens once, in one minute: a webhook is switched off, an execution ends.
AT_ONCE = ("WebhooksSwitchedOffAlarm", *(f"{name}{kind}Alarm" for name in DURABLE for kind in ("Failed", "TimedOut")))
# What lasts is noticed once an hour at least.
FOR_AN_HOUR = ("EnrollmentsWaitingAlarm", "ManagersPausedAlarm")
PERIODS = dict.fromkeys(AT_ONCE, (60, 5, 1)) | dict.fromkeys(FOR_AN_HOUR, (300, 12, 1))


def test_an_alarm_fires_when_two_of_five_minutes_were_bad_but_for_what_is_noticed_once(
    alarms: dict[str, Mapping[str, Any]],
) -> None:
    parts = ("Period", "EvaluationPeriods", "DatapointsToAlarm")
    periods = {name: tuple(alarm[part] for part in parts) for name, alarm in alarms.items()}

    assert periods == dict.fromkeys(alarms, (60, 5, 2)) | PERIODS
    assert {alarm["ComparisonOperator"] for alarm in alarms.values()} == {"GreaterThanOrEqualToThreshold"}


# As docs/operations.md says; of all others, one is too many.
THRESHOLDS = {
    "ApiErrorsAlarm": 5,
    "AuthorizerLatencyAlarm": 5_000,
    "EnrollmentAutomationsLatencyAlarm": 5_000,
    "AcsLatencyAlarm": 10_000,
    "ApiLatencyAlarm": 10_000,
    "ClientSessionsLatencyAlarm": 10_000,
    "DeliveriesAgeAlarm": 60,
    "EventsAgeAlarm": 60_000,
    "EventsApiLatencyAlarm": 10_000,
    "ManagerFailuresAlarm": 5,
    "PhonesLatencyAlarm": 10_000,
    "UserIdentitiesLatencyAlarm": 10_000,
}


def test_an_alarm_fires_at_what_the_document_says(alarms: dict[str, Mapping[str, Any]]) -> None:
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == dict.fromkeys(alarms, 1) | THRESHOLDS


def test_functions_have_the_time_that_their_requests_can_take(resources: dict[str, Resource]) -> None:
    """The authorizer makes one request: three attempts of 2.5 s.  API Gateway waits 29 s for the others."""
    timeouts = {name: resources[f"{name}Function"].properties["Timeout"] for name in FUNCTIONS}

    assert timeouts == dict.fromkeys(FUNCTIONS, 28) | {"Authorizer": 10}


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_python_warns_nobody_and_pydantic_looks_for_no_plugins(resources: dict[str, Resource], name: str) -> None:
    variables = resources[f"{name}Function"].properties["Environment"]["Variables"]

    assert (variables["PYTHONWARNINGS"], variables["PYDANTIC_DISABLE_PLUGINS"]) == ("ignore", "__all__")


def test_the_table_can_be_restored_and_is_guarded_and_encrypted(expanded: dict[str, Any]) -> None:
    table = expanded["Resources"]["Table"]
    properties = table["Properties"]

    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["DeletionProtectionEnabled"] == {"Ref": "TableDeletionProtection"}
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == {"Ref": "TableDeletionPolicy"}
    assert [choice["SSEEnabled"] for choice in properties["SSESpecification"]["Fn::If"][1:]] == [True, True]


def test_layers_stay_for_the_versions_that_use_them(expanded: dict[str, Any]) -> None:
    kept = [
        found["DeletionPolicy"]
        for found in expanded["Resources"].values()
        if found["Type"] == "AWS::Lambda::LayerVersion"
    ]

    assert kept == ["Retain", "Retain"]


def test_a_host_name_of_ones_own_takes_tls_1_2_at_least(expanded: dict[str, Any]) -> None:
    assert expanded["Resources"]["Domain"]["Properties"]["SecurityPolicy"] == "TLS_1_2"


def test_who_is_throttled_may_try_again_in_a_second(resources: dict[str, Resource]) -> None:
    responses = resources["Api"].properties["Body"]["x-amazon-apigateway-gateway-responses"]
    waits = {
        name: response["responseParameters"].get("gatewayresponse.header.Retry-After")
        for name, response in responses.items()
        if response.get("statusCode") in {429, 503, "429", "503"}
    }

    assert waits.keys() >= {"THROTTLED", "QUOTA_EXCEEDED", "AUTHORIZER_FAILURE", "INTEGRATION_TIMEOUT"}
    assert set(waits.values()) == {"'1'"}


def test_every_alarm_is_explained(alarms: dict[str, Mapping[str, Any]]) -> None:
    operations = (PROJECT / "docs" / "operations.md").read_text()

    assert not [name for name in alarms if f"`{name}`" not in operations]


def test_the_dashboard_shows_metrics_that_exist(resources: dict[str, Resource]) -> None:
    plain = [[part for part in row if isinstance(part, str)] for row in rows_of(resources)]
    ours = {("EnrollmentAutomations", name) for name in ("Launched", "Replayed", "Refused", "Failed")}

    assert {namespace for namespace, *_ in plain} >= {"AWS/ApiGateway", "AWS/DynamoDB", "AWS/Lambda"}
    for namespace, name, *dimensions in plain:
        found = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
        is_published = (namespace, name, tuple(found)) in PUBLISHED
        assert is_published or (namespace, name) in ours | counted_from_logs(resources), name
        assert not [value for key, value in found.items() if value not in VALUES[key]]


def test_launches_are_shown_by_the_dimensions_that_they_are_counted_with(resources: dict[str, Resource]) -> None:
    rows = rows_of(resources)
    variables = resources["EnrollmentAutomationsFunction"].properties["Environment"]["Variables"]
    counted = ["service", variables["POWERTOOLS_SERVICE_NAME"], "stack", variables["STACK_NAME"]]

    launches = [row for row in rows if row[0] == variables["POWERTOOLS_METRICS_NAMESPACE"]]

    assert [row[1] for row in launches] == ["Launched", "Replayed", "Refused", "Failed"]
    assert [row[2:-1] for row in launches] == [counted] * 4
    assert variables["STACK_NAME"] == STACK


def test_the_dashboard_tells_failures_of_managers_apart(resources: dict[str, Resource]) -> None:
    (counted,) = [each for each in transformations(resources) if "Dimensions" in each]
    rows = [row for widget in widgets(resources) for row in widget["properties"]["metrics"]]
    ((searched,),) = [row for row in rows if not isinstance(row[0], str)]

    assert counted["Dimensions"] == [
        {"Key": "credential_manager_acs_system_id", "Value": "$.credential_manager_acs_system_id"}
    ]
    assert searched["expression"] == (
        f'SEARCH(\'{{"{counted["MetricNamespace"]}",credential_manager_acs_system_id}} '
        f"MetricName=\"{counted['MetricName']}\"', 'Sum', 60)"
    )


def test_the_dashboards_widgets_do_not_overlap(resources: dict[str, Resource]) -> None:
    squares = [
        (x, y)
        for widget in widgets(resources)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) < 24


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_traced_and_logs_with_retention(resources: dict[str, Resource], name: str) -> None:
    function = resources[f"{name}Function"].properties
    group = resources[f"{name}LogGroup"]

    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["LoggingConfig"] == {"LogGroup": group.reference}
    assert group.properties["RetentionInDays"] == "30"


@pytest.mark.parametrize(
    ("name", "alarms_of_it"),
    [
        # An authorizer that raises is an error to Lambda; the other functions answer with a 500.
        ("Authorizer", ["AuthorizerErrorsAlarm", "AuthorizerFailuresAlarm"]),
        *((name, [f"{name}ErrorsAlarm", f"{name}DefectsAlarm"]) for name in FUNCTIONS[1:]),
    ],
)
def test_each_function_is_rolled_back_by_its_errors(
    expanded: dict[str, Any], name: str, alarms_of_it: list[str]
) -> None:
    found = expanded["Resources"]
    group = found[f"{name}FunctionDeploymentGroup"]["Properties"]
    policy = found[f"{name}FunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]

    assert policy["DeploymentGroupName"] == {"Ref": f"{name}FunctionDeploymentGroup"}
    assert group["AlarmConfiguration"] == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": alarm}} for alarm in alarms_of_it],
    }
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_the_stage_is_traced(resources: dict[str, Resource]) -> None:
    assert resources["ApiprodStage"].properties["TracingEnabled"] is True


def test_the_access_log_is_json_without_anything_that_a_client_wrote(resources: dict[str, Resource]) -> None:
    setting = resources["ApiprodStage"].properties["AccessLogSetting"]

    assert set(json.loads(setting["Format"]).values()) <= LOGGED
    assert "\n" not in setting["Format"]  # API Gateway takes one line
    assert resources["AccessLogGroup"].properties["RetentionInDays"] == "30"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ApiErrorsFilter", {"status"}),
        ("ApiThrottlesFilter", {"response_type"}),
        ("AuthorizerFailuresFilter", {"response_type"}),
    ],
)
def test_what_is_counted_from_the_access_log_is_in_it(
    resources: dict[str, Resource], name: str, fields: set[str]
) -> None:
    counted = resources[name].properties
    logged = json.loads(resources["ApiprodStage"].properties["AccessLogSetting"]["Format"])

    assert counted["LogGroupName"] == resources["AccessLogGroup"].reference
    assert all(f"$.{field} = " in counted["FilterPattern"] for field in fields)
    assert fields <= logged.keys()


def test_a_restored_table_is_used_instead_of_the_stacks_own(expanded: dict[str, Any]) -> None:
    stream = "arn:aws:dynamodb:us-east-1:123456789012:table/restored/stream/2026-11-25T00:00:00.000"
    parameters = {"RestoredTableName": "restored", "RestoredTableStreamArn": stream}
    resources = load_template(PROJECT / "template.yaml", parameters)

    for name in ALL_FUNCTIONS:
        (policy,) = resources[f"{name}Role"].properties["Policies"]
        of_records = [one for one in policy["PolicyDocument"]["Statement"] if LEADING_KEYS in str(one)]
        assert resources[f"{name}Function"].properties["Environment"]["Variables"]["TABLE_NAME"] == "restored"
        assert {tuple(statement["Resource"]) for statement in of_records} == {
            (
                f"arn:aws:dynamodb:us-east-1:123456789012:table/{STACK}-Table",
                "arn:aws:dynamodb:us-east-1:123456789012:table/restored",
            )
        }
    assert resources["EventsFunctionTableStream"].properties["EventSourceArn"] == stream
    for name in ("TableReadThrottlesAlarm", "TableWriteThrottlesAlarm"):
        assert metric_of(resources[name].properties)[2] == {"TableName": "restored"}
    assert '"TableName", "restored"' in resources["Dashboard"].properties["DashboardBody"]
    assert expanded["Outputs"]["TableName"]["Value"]["Fn::If"][0] == "HasRestoredTable"


def test_a_restored_tables_stream_is_read_instead_of_the_own_tables() -> None:
    stream = "arn:aws:dynamodb:us-east-1:123456789012:table/restored/stream/2026-11-25T10:00:00.000"
    parameters = {"RestoredTableName": "restored", "RestoredTableStreamArn": stream}
    resources = load_template(PROJECT / "template.yaml", parameters)
    (policy,) = resources["EventsRole"].properties["Policies"]
    (readable,) = [
        statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "dynamodb:GetRecords" in statement["Action"]
    ]

    assert resources["EventsFunctionTableStream"].properties["EventSourceArn"] == stream
    assert f"{stream.rpartition('/')[0]}/*" in readable


def test_every_parameter_is_described_and_constrained(expanded: dict[str, Any]) -> None:
    constraints = {"AllowedPattern", "AllowedValues", "MinValue"}

    for name, parameter in expanded["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert constraints & parameter.keys(), name


def test_the_document_of_operations_has_every_parameter(expanded: dict[str, Any]) -> None:
    rows = [row for row in (PROJECT / "docs/operations.md").read_text().splitlines() if row.startswith("| `")]

    assert not [name for name in expanded["Parameters"] if not [row for row in rows if f"`{name}`" in row]]


def test_the_document_of_operations_says_what_parameters_are_by_default(expanded: dict[str, Any]) -> None:
    table = (PROJECT / "docs/operations.md").read_text().partition("| parameter | default |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    said = {
        name.strip("|` "): "" if value == "empty" else value.strip("`")
        for names, values, *_ in rows
        for name, value in zip(names.split(", "), values.split(", ") * len(names.split(", ")), strict=False)
    }

    assert said == {name: str(parameter["Default"]) for name, parameter in expanded["Parameters"].items()}


def test_the_outputs_say_what_a_client_and_an_operator_need(expanded: dict[str, Any]) -> None:
    assert expanded["Outputs"].keys() >= {"DashboardUrl", "Document", "Endpoint", "TableName"}
