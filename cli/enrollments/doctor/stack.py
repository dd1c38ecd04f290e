"""What the stack is made of: its release, its table, API Gateway's role, its functions, and what invokes them."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from enrollments.database import check_table
from enrollments.doctor.account import role_for_logs
from enrollments.doctor.findings import Finding, bad, good, not_looked_at
from enrollments.doctor.patient import ALIAS, Patient
from enrollments.stacks import ENDPOINT_OUTPUT, RELEASE_OUTPUT, TABLE_OUTPUT

_TTL_ATTRIBUTE = "deleted_after"
# Names in the template.
FUNCTIONS = (
    "AcsFunction",
    "AuthorizerFunction",
    "ClientSessionsFunction",
    "DeliveriesFunction",
    "EnrollmentAutomationsFunction",
    "EventsApiFunction",
    "EventsFunction",
    "PhonesFunction",
    "ProvisioningFunction",
    "RedeliveriesFunction",
    "UserIdentitiesFunction",
)
_MAPPINGS = ("EventsFunction", "DeliveriesFunction")
_SECRETS = ("ClientSessionsSecret", "ConnectorsSecret", "WebhooksSecret")
_TAKEN_BACK = "UPDATE_ROLLBACK_COMPLETE"
_AT_WORK = "IN_PROGRESS"
_NO_PART = "this server is not AWS and has none"


def look_at_stack(patient: Patient) -> Iterator[Finding]:
    """Yield how the stack stands, and its release."""
    stack, command = patient.stack, version("enrollment-automations")
    release = stack.outputs.get(RELEASE_OUTPUT, "unknown: an older release, which does not name itself")
    found = f"{stack.name} is {stack.status}, release {release}, {stack.outputs[ENDPOINT_OUTPUT]}"
    if stack.stuck is not None:
        reason, _, remedy = stack.stuck.partition("; ")
        yield bad("stack", f"{found}: {reason}", remedy)
    elif _AT_WORK in stack.status:
        yield bad("stack", found, "wait until it is deployed, then look again")
    elif release != command:
        remedy = f"{patient.deploy()}, or use that release's command"
        yield bad("stack", f"{found}; this command is of release {command}", remedy)
    elif stack.status == _TAKEN_BACK:
        yield good("stack", f"{found}; the last deploy failed and was taken back")
    else:
        yield good("stack", found)


def look_at_table(patient: Patient) -> Iterator[Finding]:
    """Yield how the table that the functions use stands.

    Raises:
        WrongTable: It is not one of this service.
        ClientError: DynamoDB refuses.
        BotoCoreError: DynamoDB is out of reach.
    """
    client, name = patient.client("dynamodb"), patient.stack.outputs[TABLE_OUTPUT]
    parameters, change = patient.stack.parameters, f"aws dynamodb update-table --table-name {name}"
    check_table(client, name)
    table: dict[str, Any] = client.describe_table(TableName=name)["Table"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    is_restored = parameters.get("RestoredTableName") == name
    faults = {
        "no point-in-time recovery": (
            backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED",
            f"aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        ),
        "nothing expires": (
            expiry.get("AttributeName") != _TTL_ATTRIBUTE or expiry["TimeToLiveStatus"] not in {"ENABLED", "ENABLING"},
            f"aws dynamodb update-time-to-live --table-name {name} "
            f"--time-to-live-specification Enabled=true,AttributeName={_TTL_ATTRIBUTE}",
        ),
        "no stream with new and old images": (
            table.get("StreamSpecification", {}).get("StreamViewType") != "NEW_AND_OLD_IMAGES",
            f"{change} --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
        ),
        "not protected against deletion": (
            not table.get("DeletionProtectionEnabled") and parameters.get("TableDeletionProtection") != "false",
            f"{change} --deletion-protection-enabled",
        ),
        "the functions follow another stream": (
            is_restored and parameters.get("RestoredTableStreamArn") != table.get("LatestStreamArn"),
            "deploy with RestoredTableStreamArn (docs/operations.md, “Restore from a point in time”)",
        ),
    }
    found = [what for what, (is_wrong, _) in faults.items() if is_wrong]
    if found:
        yield bad("table", f"{name}: {', '.join(found)}", " && ".join(faults[what][1] for what in found))
    else:
        yield good("table", f"{name}{', a restored table' if is_restored else ''}: keys, stream, recovery, expiry")


def look_at_role(patient: Patient) -> Iterator[Finding]:
    """Yield whether API Gateway has a role for its logs.

    Raises:
        ClientError: API Gateway refuses to tell.
        BotoCoreError: API Gateway is out of reach.
    """
    role = role_for_logs(patient.client("apigateway"))
    if role:
        yield good("API Gateway's role", role)
    elif patient.is_on_aws:
        remedy = patient.deploy("--parameter-overrides ApiGatewayLogsRole=Create")
        yield bad("API Gateway's role", "there is none, so there is no access log", remedy)
    else:
        yield not_looked_at("API Gateway's role", _NO_PART)


def look_at_functions(patient: Patient) -> Iterator[Finding]:
    """Yield whether each function can be invoked.

    Raises:
        ClientError: Lambda refuses to tell.
        BotoCoreError: Lambda is out of reach.
    """
    client = patient.client("lambda")
    shifting, broken = [], []
    for name in FUNCTIONS:
        if name not in patient.ids:
            broken.append(f"{name} is not there")
            continue
        function = patient.id_of(name)
        try:
            alias = client.get_alias(FunctionName=function, Name=ALIAS)
            state = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            if not patient.is_on_aws:
                yield not_looked_at("functions", _NO_PART)
                return
            broken.append(f"{name} has no alias {ALIAS}")
            continue
        if alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            shifting.append(name)
        if state.get("State", "Active") not in {"Active", "Inactive"}:
            broken.append(f"{name} is {state['State']}: {state.get('StateReason', 'no reason')}")
        elif state.get("LastUpdateStatus") == "Failed":
            reason = state.get("LastUpdateStatusReason", "no reason")
            broken.append(f"{name} works, but its last update failed: {reason}")
    if broken:
        yield bad("functions", "; ".join(broken), f"deploy again: {patient.deploy()}")
    elif shifting:
        found = f"requests are being shifted to a new version of {', '.join(shifting)}"
        yield bad("functions", found, "wait for CodeDeploy, or roll back (docs/operations.md, “Rollback”)")
    else:
        yield good("functions", f"{len(FUNCTIONS)} can be invoked")


def look_at_secrets(patient: Patient) -> Iterator[Finding]:
    """Yield whether the stack's secrets are there.  Their values are not read.

    Raises:
        ClientError: Secrets Manager refuses to tell.
        BotoCoreError: Secrets Manager is out of reach.
    """
    client = patient.client("secretsmanager")
    faults = []
    for name in _SECRETS:
        secret_id = patient.id_of(name)
        try:
            secret = client.describe_secret(SecretId=secret_id)
        except client.exceptions.ResourceNotFoundException:
            faults.append((f"{name} is gone", secret_id))
            continue
        if secret.get("DeletedDate"):
            faults.append((f"{name} is to be deleted", secret_id))
    if faults:
        remedy = " && ".join(f"aws secretsmanager restore-secret --secret-id {secret_id}" for _, secret_id in faults)
        yield bad("secrets", ", ".join(fault for fault, _ in faults), remedy)
    else:
        yield good("secrets", f"{len(_SECRETS)} are there")


def look_at_mappings(patient: Patient) -> Iterator[Finding]:
    """Yield whether the stream and the queue invoke their functions.

    Raises:
        ClientError: Lambda refuses to tell.
        BotoCoreError: Lambda is out of reach.
    """
    client = patient.client("lambda")
    for name in _MAPPINGS:
        about = f"what invokes {name}"
        found = client.list_event_source_mappings(FunctionName=patient.alias_of(name))["EventSourceMappings"]
        if not found and not patient.is_on_aws:
            yield not_looked_at(about, _NO_PART)
        elif not found:
            yield bad(about, "nothing does", f"deploy again: {patient.deploy()}")
        for mapping in found:
            state, last = (
                str(mapping.get("State", "in an unknown state")),
                str(mapping.get("LastProcessingResult", "no result yet")),
            )
            if state != "Enabled":
                remedy = f"aws lambda update-event-source-mapping --uuid {mapping.get('UUID', 'UUID')} --enabled"
                yield bad(about, f"it is {state}", remedy)
            elif last.startswith("PROBLEM"):
                yield bad(about, last, "read the function's log: docs/operations.md, “Logs and traces”")
            else:
                yield good(about, f"enabled, last result: {last}")
