"""A deployed stack: what CloudFormation tells of it, and why a command cannot use it."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from enrollments.failure import CommandFailed

TABLE_OUTPUT, ENDPOINT_OUTPUT, RELEASE_OUTPUT = "TableName", "Endpoint", "Release"
# These are in the template since its first release.
_OUTPUTS = (TABLE_OUTPUT, ENDPOINT_OUTPUT, "DashboardUrl")

# States in which a stack is not there, not yet or not any more, and what to do then.
_UNUSABLE = {
    "CREATE_IN_PROGRESS": "is being made; wait until `make deploy` has ended",
    "CREATE_FAILED": "was never made; remove what is left: `aws cloudformation delete-stack`, then deploy again",
    "DELETE_IN_PROGRESS": "is being deleted; wait until that has ended. Its table stays, and can be used again",
    "DELETE_FAILED": "is half deleted; run `aws cloudformation delete-stack` again",
    "REVIEW_IN_PROGRESS": "has a change set that nobody has executed; run `make deploy` again",
    "ROLLBACK_COMPLETE": "was never made, because its first deploy failed; `aws cloudformation delete-stack` removes "
    "what is left (docs/operations.md, “A first deploy that failed”)",
    "ROLLBACK_FAILED": "was never made, and its removal failed; run `aws cloudformation delete-stack`",
    "ROLLBACK_IN_PROGRESS": "was not made, and is being removed; wait",
}
# States in which commands work, and no deploy does: what happened, and what to do.
_STUCK = {
    "IMPORT_ROLLBACK_FAILED": "an import of resources could not be taken back; mend what its events name, or ask "
    "AWS Support",
    "UPDATE_FAILED": "an update failed and was not taken back; aws cloudformation rollback-stack --stack-name {}",
    "UPDATE_ROLLBACK_FAILED": "the way back from an update failed; mend what its events name, then: "
    "aws cloudformation continue-update-rollback --stack-name {}",
}


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """A stack, as CloudFormation describes it.

    Attributes:
        name: Its name.
        region: Its region.
        status: For instance ``UPDATE_COMPLETE``.
        outputs: Its outputs.
        parameters: The values of its parameters.
    """

    name: str
    region: str
    status: str
    outputs: dict[str, str]
    parameters: dict[str, str]

    @property
    def problem(self) -> str | None:
        """Why a command cannot use it, and what to do; ``None`` if it can."""
        if self.status in _UNUSABLE:
            return f"stack {self.name} in {self.region} {_UNUSABLE[self.status]}"
        if missing := [name for name in _OUTPUTS if name not in self.outputs]:
            return (
                f"stack {self.name} in {self.region} has no output {missing[0]}, so it is not one of this service; "
                "check --stack-name, --region and --profile"
            )
        return None

    @property
    def stuck(self) -> str | None:
        """Why nobody can deploy it, and what to do after the semicolon; ``None`` if a deploy did not fail halfway."""
        return _STUCK[self.status].format(self.name) if self.status in _STUCK else None


def find_stack(session: boto3.session.Session, stack_name: str) -> DeployedStack | None:
    """Return a stack; ``None`` if there is none of that name in the region.

    Raises:
        ClientError: CloudFormation refuses to tell.
        BotoCoreError: CloudFormation is out of reach, or there are no credentials.
    """
    client = session.client("cloudformation")
    region = str(client.meta.region_name)
    try:
        (stack,) = client.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    described: Any = stack
    return DeployedStack(
        stack_name,
        region,
        str(described["StackStatus"]),
        {str(one["OutputKey"]): str(one["OutputValue"]) for one in described.get("Outputs", [])},
        {str(one["ParameterKey"]): str(one["ParameterValue"]) for one in described.get("Parameters", [])},
    )


def stack_of_service(session: boto3.session.Session, stack_name: str) -> DeployedStack:
    """Return a stack of this service.

    Raises:
        CommandFailed: There is no such stack, it is not there yet or not any more, or it is one of something else.
        ClientError: CloudFormation refuses to tell.
        BotoCoreError: CloudFormation is out of reach, or there are no credentials.
    """
    found = find_stack(session, stack_name)
    if found is None:
        raise CommandFailed(
            f"there is no stack {stack_name} in {session.region_name}; check --stack-name, --region and --profile"
        )
    if found.problem is not None:
        raise CommandFailed(found.problem)
    return found


def table_of_stack(session: boto3.session.Session, stack_name: str) -> str:
    """Return the name of a stack's table.  It raises what ``stack_of_service`` raises."""
    return stack_of_service(session, stack_name).outputs[TABLE_OUTPUT]


def physical_id(session: boto3.session.Session, stack_name: str, logical_id: str) -> str:
    """Return the name that AWS gave to a resource of a stack.

    Raises:
        CommandFailed: The stack has no such resource, or there is no such stack.
        ClientError: CloudFormation refuses to tell.
        BotoCoreError: CloudFormation is out of reach, or there are no credentials.
    """
    client = session.client("cloudformation")
    try:
        found = client.describe_stack_resource(StackName=stack_name, LogicalResourceId=logical_id)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise CommandFailed(
            f"there is no {logical_id} of a stack {stack_name} in {client.meta.region_name}; "
            "check --stack-name, --region and --profile"
        ) from error
    return str(found["StackResourceDetail"]["PhysicalResourceId"])
