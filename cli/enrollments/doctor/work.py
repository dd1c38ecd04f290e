"""Work that is late or has failed: ages of stream and queues, executions, and tokens that end soon."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import list_tokens
from enrollments.doctor.findings import Finding, bad, good, not_looked_at
from enrollments.doctor.patient import Patient
from enrollments.tokens import REMINDED_BEFORE

# As the alarms EventsAgeAlarm and DeliveriesAgeAlarm.
_OLDEST = timedelta(minutes=1)
_LOOKED_BACK = timedelta(minutes=15)
# What has failed earlier may be mended, and AWS goes on listing it for a week.
_FAILED_SINCE = timedelta(days=1)
_NO_METRICS = "only AWS has metrics, and this is not AWS"
_RESEND = "enrollments events resend --stack-name {}"
_REDRIVE = "read the log of `deliveries`, then: aws sqs start-message-move-task --source-arn {}"
_DURABLE = ("ProvisioningFunction", "RedeliveriesFunction")
_REMEDIES = {
    "ProvisioningFunction": "enrollments provisioning check --mend, for each workspace",
    "RedeliveriesFunction": "docs/operations.md, “Executions”, shows why",
}


def look_at_stream(patient: Patient) -> Iterator[Finding]:
    """Yield how late the table's stream is.

    Raises:
        ClientError: CloudWatch refuses to tell.
        BotoCoreError: CloudWatch is out of reach.
    """
    about = "age of the stream"
    function = patient.id_of("EventsFunction")
    dimensions = {"FunctionName": function, "Resource": patient.alias_of("EventsFunction")}
    milliseconds = _highest(patient, "AWS/Lambda", "IteratorAge", dimensions)
    if milliseconds is None and not patient.is_on_aws:
        yield not_looked_at(about, _NO_METRICS)
    elif milliseconds is None:
        yield good(about, "nothing had to be recorded in the last 15 minutes")
    elif milliseconds >= _OLDEST.total_seconds() * 1000:
        yield bad(
            about,
            f"{milliseconds / 1000:.0f} s at most in the last 15 minutes",
            "see EventsAgeAlarm in docs/operations.md, “Alarms”",
        )
    else:
        yield good(about, f"{milliseconds / 1000:.1f} s at most in the last 15 minutes")


def look_at_queues(patient: Patient) -> Iterator[Finding]:
    """Yield what waits in the queues, and for how long.

    Raises:
        ClientError: SQS or CloudWatch refuses to tell.
        BotoCoreError: SQS or CloudWatch is out of reach.
    """
    client = patient.client("sqs")

    def told(logical_id: str) -> dict[str, str]:
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "QueueArn"]
        answer = client.get_queue_attributes(QueueUrl=patient.id_of(logical_id), AttributeNames=wanted)
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    for logical_id, remedy in (
        ("EventsFailuresQueue", _RESEND.format(patient.stack.name)),
        ("DeliveriesDeadLetterQueue", _REDRIVE),
    ):
        attributes = told(logical_id)
        count = int(attributes["ApproximateNumberOfMessages"]) + int(
            attributes["ApproximateNumberOfMessagesNotVisible"]
        )
        if count:
            yield bad(logical_id, f"{count} messages that failed", remedy.format(attributes["QueueArn"]))
        else:
            yield good(logical_id, "empty")
    waiting = int(told("DeliveriesQueue")["ApproximateNumberOfMessages"])
    name = patient.id_of("DeliveriesQueue").rpartition("/")[2]
    seconds = _highest(patient, "AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": name})
    if seconds is None and not patient.is_on_aws:
        yield not_looked_at("age of DeliveriesQueue", f"{_NO_METRICS}; {waiting} messages wait")
    elif (seconds or 0) >= _OLDEST.total_seconds():
        found = f"a message waited for {seconds:.0f} s in the last 15 minutes, and {waiting} wait now"
        yield bad("age of DeliveriesQueue", found, "see DeliveriesAgeAlarm in docs/operations.md, “Alarms”")
    else:
        yield good("age of DeliveriesQueue", f"{seconds or 0:.0f} s at most in the last 15 minutes, {waiting} wait now")


def look_at_executions(patient: Patient) -> Iterator[Finding]:
    """Yield whether executions of durable functions have failed within a day.

    Raises:
        ClientError: Lambda refuses to tell.
        BotoCoreError: Lambda is out of reach.
    """
    client, now = patient.client("lambda"), datetime.now(UTC)
    for name in _DURABLE:
        about = f"executions of {name}"
        request = {"FunctionName": patient.id_of(name), "Statuses": ["FAILED", "TIMED_OUT"]}
        count, more = 0, dict[str, str]()
        while True:
            page = client.list_durable_executions_by_function(**request, **more)
            ends = [one.get("EndTimestamp", now) for one in page.get("DurableExecutions", [])]
            count += sum(end > now - _FAILED_SINCE for end in ends)
            if not page.get("NextMarker"):
                break
            more = {"Marker": page["NextMarker"]}
        if count:
            yield bad(about, f"{count} failed or timed out in the last day", _REMEDIES[name])
        else:
            yield good(about, "none failed in the last day")


def look_at_tokens(table: Table) -> Iterator[Finding]:
    """Yield which tokens end soon.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    now = datetime.now(UTC)
    good_ones = [one for one in list_tokens(table) if not one.revoked_at and (one.expires_at or "~") > timestamp(now)]
    ending = [one for one in good_ones if one.expires_at and one.expires_at <= timestamp(now + REMINDED_BEFORE)]
    if ending:
        named = ", ".join(f"{one.token_id} at {one.expires_at}" for one in ending)
        yield bad(
            "tokens",
            f"these end within {REMINDED_BEFORE.days} days: {named}",
            "enrollments tokens rotate TOKEN_ID --expires-in 90d, for each",
        )
    else:
        yield good("tokens", f"{len(good_ones)} are good, none ends within {REMINDED_BEFORE.days} days")


def _highest(patient: Patient, namespace: str, metric: str, dimensions: dict[str, str]) -> float | None:
    """Return the highest value of a metric in the last 15 minutes; ``None`` if there is none."""
    now = datetime.now(UTC)
    answer = patient.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - _LOOKED_BACK,
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )
    return max((float(point["Maximum"]) for point in answer["Datapoints"]), default=None)
