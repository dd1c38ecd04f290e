"""A stand-in for AWS that takes ``sam deploy`` of this template: the workbench's, with more of moto's gaps filled.

usage: PYTHON stand_in.py CLOUDFORMATION PORT

PYTHON is the workbench's own interpreter, CLOUDFORMATION its cloudformation.py.
"""

import importlib.util
import sys

from moto.awslambda.models import LayerVersion
from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet
from moto.server import main

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

main(["-H", "127.0.0.1", "-p", sys.argv[2]])
