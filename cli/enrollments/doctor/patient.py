"""The system that the doctor looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from enrollment.store.client import CLIENT_CONFIG
from enrollment.store.table import Table
from enrollments.database import host_of, is_aws
from enrollments.failure import CommandFailed
from enrollments.stacks import TABLE_OUTPUT, DeployedStack

ALIAS = "live"


@dataclass(frozen=True)
class Patient:
    """A deployed stack.

    Attributes:
        session: Makes clients of AWS.
        stack: The stack.
        ids: The names that AWS gave to the stack's resources, by their names in the template.
    """

    session: boto3.session.Session
    stack: DeployedStack
    ids: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client of a service of AWS."""
        make: Any = self.session.client  # boto3-stubs has types for DynamoDB only
        return make(service)

    @property
    def table(self) -> Table:
        """The table that the functions use."""
        return Table(self.session.client("dynamodb", config=CLIENT_CONFIG), self.stack.outputs[TABLE_OUTPUT])

    @property
    def is_on_aws(self) -> bool:
        """Whether it is AWS that answers, and not a stand-in."""
        return is_aws(host_of(self.client("cloudwatch").meta.endpoint_url))

    def deploy(self, more: str = "") -> str:
        """Return the command that deploys the stack, as a person types it.

        Args:
            more: Other arguments of ``sam deploy``.
        """
        arguments = f"--stack-name {self.stack.name} --region {self.stack.region} {more}".rstrip()
        return f"make deploy ARGS='{arguments}'"

    def alias_of(self, function: str) -> str:
        """Return the name by which a function of the stack is invoked.

        Args:
            function: The function's name in the template.
        """
        return f"{self.id_of(function)}:{ALIAS}"

    def id_of(self, logical_id: str) -> str:
        """Return the name that AWS gave to a resource.

        Args:
            logical_id: Its name in the template.

        Raises:
            CommandFailed: The stack has none, because it is of an older release.
        """
        if logical_id not in self.ids:
            raise CommandFailed(f"stack {self.stack.name} has no {logical_id}; deploy this release: {self.deploy()}")
        return self.ids[logical_id]


def resources_of(session: boto3.session.Session, stack_name: str) -> dict[str, str]:
    """Return the names that AWS gave to a stack's resources, by their names in the template.

    Raises:
        ClientError: CloudFormation refuses to tell.
        BotoCoreError: CloudFormation is out of reach.
    """
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    resources: list[Any] = [one for page in pages for one in page["StackResourceSummaries"]]
    return {str(one["LogicalResourceId"]): str(one.get("PhysicalResourceId", "")) for one in resources}
