"""A stand-in for AWS that takes ``sam deploy`` of this template: the workbench's, with more of moto's gaps filled.

usage: PYTHON stand_in.py CLOUDFORMATION PORT

PYTHON is the workbench's own interpreter, CLOUDFORMATION its cloudformation.py.
"""

import importlib
import importlib.util
import json
import random
import string
import sys
from pathlib import Path

from moto.awslambda.models import LayerVersion
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import ChangeSet, CloudFormationBackend
from moto.core.common_models import CloudFormationModel
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.secretsmanager.models import secretsmanager_backends
from moto.server import main

# What makes moto's transactions quick locally does it here, too.
sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))
quick_transactions = importlib.import_module("local_aws.quick_transactions").quick_transactions

specification = importlib.util.spec_from_file_location("workbench", sys.argv[1])
workbench = importlib.util.module_from_spec(specification)
specification.loader.exec_module(workbench)

# moto's version of a function has no attributes (the alias asks for Version); its permission and mapping know no alias.
workbench.ALWAYS_PLAIN |= {"AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission", "AWS::Lambda::Version"}

# moto's layer version has a name for what refers to it only until the stack is updated.
LayerVersion.physical_resource_id = property(lambda self: self.arn)

# moto says the account and the region too when it updates a resource, which the workbench's plain record does not take.
update_plain = workbench.Plain.update_from_cloudformation_json


def update_plain_anywhere(*, account_id, region_name, **more):  # noqa: ARG001
    return update_plain(**more)


workbench.Plain.update_from_cloudformation_json = update_plain_anywhere

# moto forgets a resource that is to be updated and of whose type it knows no update, so that nothing can refer to it;
# and updates what a condition left out.
update_resource = parsing.parse_and_update_resource


def update_or_keep(logical_id, resource_json, resources_map, **more):
    present = resources_map[logical_id]
    return present and (update_resource(logical_id, resource_json, resources_map, **more) or present)


parsing.parse_and_update_resource = update_or_keep

# moto knows the outputs of a stack that is made at once, but not by a change set.
apply_changes = ChangeSet.apply


def apply_changes_and_outputs(self):
    apply_changes(self)
    self.stack.output_map = parsing.OutputMap(self.stack.resource_map, self.template_dict, self.stack_id)


ChangeSet.apply = apply_changes_and_outputs


# moto stumbles over what a condition left out when it looks for one resource.
def describe_present_resource(self, stack_name, logical_resource_id):
    found = self.get_stack(stack_name)
    for resource in filter(None, found.stack_resources):
        if resource.logical_resource_id == logical_resource_id:
            return found, resource
    raise ValidationError(stack_name, f"Resource {logical_resource_id} does not exist for stack {stack_name}")


CloudFormationBackend.describe_stack_resource = describe_present_resource

# moto's table of a stack has neither time to live nor point-in-time recovery.
create_table = Table.create_from_cloudformation_json.__func__


def create_whole_table(cls, resource_name, cloudformation_json, account_id, region_name, **more):
    table = create_table(cls, resource_name, cloudformation_json, account_id, region_name, **more)
    dynamodb, properties = dynamodb_backends[account_id][region_name], cloudformation_json["Properties"]
    dynamodb.update_time_to_live(resource_name, properties["TimeToLiveSpecification"])
    dynamodb.update_continuous_backups(resource_name, properties["PointInTimeRecoverySpecification"])
    return table


Table.create_from_cloudformation_json = classmethod(create_whole_table)


class Secret(CloudFormationModel):
    """A secret whose value Secrets Manager makes up, which moto's CloudFormation does not know."""

    __module__ = "moto.secretsmanager.models"  # moto's metaclass reads the service from it

    def __init__(self, arn):
        self.arn = self.physical_resource_id = arn

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, _, account_id, region_name, **__):
        secrets = secretsmanager_backends[account_id][region_name]
        value = "".join(random.choices(string.ascii_letters, k=64))
        made = secrets.create_secret(resource_name, value, None, None, None, None, None, [], False)  # noqa: FBT003
        return cls(json.loads(made)["ARN"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, *_, **__):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, *_, **__):  # it is retained
        pass

    def delete(self, *_, **__):  # as above
        pass


known_class = parsing.resource_class_from_type
parsing.resource_class_from_type = lambda kind: Secret if kind == "AWS::SecretsManager::Secret" else known_class(kind)

with quick_transactions():
    main(["-H", "127.0.0.1", "-p", sys.argv[2]])
