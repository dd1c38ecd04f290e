"""Expands ``template.yaml`` with AWS's own translator, and evaluates it with its parameters.

Only the parts that are listed here are interpreted.  Any other part (a resource type, an intrinsic, an attribute)
raises ``TemplateError``.  Ignoring a part could remove a protection.
"""

import contextlib
import copy
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
from yaml import YAMLError

from local_aws.kept_files import kept

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"
STACK_NAME = "enrollments"

_PSEUDO_PARAMETERS: Mapping[str, str] = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK_NAME,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{STACK_NAME}/local",
    "AWS::URLSuffix": "amazonaws.com",
}
_TRANSFORMS = ({"AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"}, {"AWS::Serverless-2016-10-31"})
_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Transform",
}
_PARAMETER_TYPES = {"String", "Number", "CommaDelimitedList"}
_CONSTRAINTS: Mapping[str, Callable[[str, Any], bool]] = {
    "AllowedValues": lambda value, allowed: value in map(plain_text, allowed),
    "AllowedPattern": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "MinLength": lambda value, least: len(value) >= int(least),
    "MaxLength": lambda value, most: len(value) <= int(most),
    "MinValue": lambda value, least: float(value) >= float(least),
    "MaxValue": lambda value, most: float(value) <= float(most),
}
_PARAMETER = {"ConstraintDescription", "Default", "Description", "NoEcho", "Type", *_CONSTRAINTS}
# Expanded templates are kept here, beside the template.
_KEPT = Path(".local", "templates")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# The values of a resource's Ref and attributes, by its type.  Other types cannot be interpreted.
_NAME = "{stack}-{id}"
_RESOURCES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "AWS::ApiGateway::Account": ("{id}", {}),
    "AWS::ApiGateway::BasePathMapping": ("{id}", {}),
    "AWS::ApiGateway::Deployment": ("{id}", {}),
    "AWS::ApiGateway::DomainName": ("{DomainName}", {"RegionalDomainName": "local"}),
    "AWS::ApiGateway::RestApi": ("local", {"RootResourceId": "root"}),
    "AWS::ApiGateway::Stage": ("{StageName}", {}),
    "AWS::CloudWatch::Alarm": (_NAME, {}),
    "AWS::CloudWatch::Dashboard": (_NAME, {}),
    "AWS::CodeDeploy::Application": (_NAME, {}),
    "AWS::CodeDeploy::DeploymentGroup": (_NAME, {}),
    "AWS::DynamoDB::Table": (
        _NAME,
        {
            "Arn": "arn:aws:dynamodb:{region}:{account}:table/{stack}-{id}",
            "StreamArn": "arn:aws:dynamodb:{region}:{account}:table/{stack}-{id}/stream/local",
        },
    ),
    "AWS::Events::EventBus": (
        "{Name}",
        {"Arn": "arn:aws:events:{region}:{account}:event-bus/{Name}", "Name": "{Name}"},
    ),
    "AWS::IAM::Role": (_NAME, {"Arn": "arn:aws:iam::{account}:role/{stack}-{id}"}),
    "AWS::Lambda::Alias": ("arn:aws:lambda:{region}:{account}:function:{FunctionName}:{Name}", {}),
    "AWS::Lambda::EventSourceMapping": ("{id}", {}),
    "AWS::Lambda::Function": (_NAME, {"Arn": "arn:aws:lambda:{region}:{account}:function:{stack}-{id}"}),
    "AWS::Lambda::LayerVersion": ("arn:aws:lambda:{region}:{account}:layer:{id}:1", {}),
    "AWS::Lambda::Permission": ("{id}", {}),
    "AWS::Lambda::Version": ("arn:aws:lambda:{region}:{account}:function:{FunctionName}:1", {"Version": "1"}),
    "AWS::Logs::LogGroup": (_NAME, {"Arn": "arn:aws:logs:{region}:{account}:log-group:{stack}-{id}:*"}),
    "AWS::Logs::MetricFilter": (_NAME, {}),
    "AWS::SecretsManager::Secret": ("arn:aws:secretsmanager:{region}:{account}:secret:{Name}", {}),
    "AWS::SQS::Queue": (
        "https://sqs.{region}.amazonaws.com/{account}/{stack}-{id}",
        {"Arn": "arn:aws:sqs:{region}:{account}:{stack}-{id}", "QueueName": "{stack}-{id}"},
    ),
}

_FUNCTION = "AWS::Lambda::Function"
_NAMED_FUNCTION = ("{FunctionName}", {"Arn": "arn:aws:lambda:{region}:{account}:function:{FunctionName}"})

# Properties that are part of a reference.
_NAMING = ("DomainName", "FunctionName", "Name", "StageName")

_LOCAL_CODE = "s3://local/"
_SUBSTITUTION = re.compile(r"\$\{(!?)([^}]+)\}")
_NO_VALUE = object()


class TemplateError(Exception):
    """The template cannot be interpreted here."""


@contextlib.contextmanager
def interpreting(where: str) -> Iterator[None]:
    """Turn the errors of a malformed part of the template into a ``TemplateError`` with the part's place.

    The code reads the template as if it were well formed, because a check for each possible fault would be too much.
    """
    try:
        yield
    except RecursionError as error:
        raise TemplateError(f"{where}: nested too deep, or in a circle") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error) as error:
        raise TemplateError(f"{where}: malformed ({type(error).__name__}: {error})") from error


def only(mapping: Mapping[str, Any], known: Set[str], where: str) -> None:
    """Refuse unknown keys.

    Raises:
        TemplateError: The mapping has an unknown key.
    """
    if unknown := mapping.keys() - known:
        raise TemplateError(f"{where}: {', '.join(sorted(map(str, unknown)))} cannot be interpreted here")


def plain_text(value: Any) -> str:
    """Return a plain value in the text form that CloudFormation passes on.

    Raises:
        TemplateError: It is not a text, a number or a boolean.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TemplateError(f"{value} is not text, a number or a boolean")
    return str(value)


def number(value: Any, least: float, most: float, where: str) -> float:
    """Return a property's number.

    Raises:
        TemplateError: It is not a number from ``least`` to ``most``.
    """
    if not _NUMBER.fullmatch(plain_text(value)) or not least <= float(value) <= most:
        raise TemplateError(f"{where}: {value} is not a number from {least} to {most}")
    return float(value)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the expanded template.

    Attributes:
        logical_id: Its name in the template.
        type: For instance ``AWS::Lambda::Function``.
        reference: The value of ``Ref``, which for most types is the resource's name.
        properties: Its properties, with every intrinsic evaluated.
    """

    logical_id: str
    type: str
    reference: str
    properties: Mapping[str, Any]


def load_template(path: Path, parameters: Mapping[str, str]) -> dict[str, Resource]:
    """Return the resources that a deployment of the template would have.

    Args:
        path: The template.
        parameters: Values of parameters.  The others have their defaults.

    Raises:
        TemplateError: The template is not valid, or has a part that cannot be interpreted here.
    """
    with interpreting(path.name):
        expanded, values = _read_expanded(path, parameters)
        evaluation = _Evaluation(
            resources=expanded["Resources"], parameters=values, conditions=expanded.get("Conditions", {})
        )
        # CloudFormation evaluates all of these, even unused ones.
        for section in ("Conditions", "Outputs"):
            for name, part in expanded.get(section, {}).items():
                with interpreting(f"{section}.{name}"):
                    evaluation.evaluate(part, f"{section}.{name}")
        return evaluation.resources()


def expand_template(path: Path) -> dict[str, Any]:
    """Return the template after the SAM transform, as CloudFormation gets it: with its parameters and intrinsics.

    Args:
        path: The template.

    Raises:
        TemplateError: The template is not valid.
    """
    with interpreting(path.name):
        expanded, _ = _read_expanded(path, {})
        return copy.deepcopy(expanded)


def code_path(location: Mapping[str, Any]) -> Path:
    """Return the folder of a function's code or a layer's content, relative to the template.

    Args:
        location: The property ``Code`` or ``Content`` of an expanded resource.

    Raises:
        TemplateError: The code is not in a folder beside the template.
    """
    if location.get("S3Bucket") != "local":
        raise TemplateError("only code in a folder beside the template can be run here")
    return Path(location["S3Key"])


def _read_expanded(path: Path, parameters: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the expanded template, which must not be changed, and the values of its parameters."""
    try:
        text = path.read_text()
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise TemplateError(f"{path}: not YAML: {error}") from error
    expanded, values = _expanded(text, path, frozenset(parameters.items()))
    return expanded, copy.deepcopy(values)


# The translator takes a second, and tests start hundreds of stacks with the same template.
@lru_cache(maxsize=8)
def _expanded(text: str, path: Path, parameters: frozenset[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    given = dict(parameters)
    source = _parse(text, path)
    values = {
        name: _parameter_value(name, declaration, given.get(name))
        for name, declaration in source.get("Parameters", {}).items()
    }
    if unknown := given.keys() - values.keys():
        raise TemplateError(f"no such parameter: {', '.join(sorted(unknown))}")
    depends_on = [version("aws-sam-translator"), REGION, _LOCAL_CODE, text, json.dumps(values)]
    return kept(path.parent / _KEPT, depends_on, lambda: _expand(source, values, path.name)), values


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        source = yaml_parse(text)
    except (YAMLError, ValueError) as error:
        raise TemplateError(f"{path}: not YAML: {error}") from error
    if not isinstance(source, dict) or not isinstance(source.get("Resources"), dict):
        raise TemplateError(f"{path}: no CloudFormation template")
    transforms = source.get("Transform", [])
    if set([transforms] if isinstance(transforms, str) else transforms) not in _TRANSFORMS:
        raise TemplateError(f"{path}: unknown transforms: {transforms}")
    if unknown := source.keys() - _SECTIONS:
        raise TemplateError(f"{path}: unknown sections: {', '.join(sorted(unknown))}")
    return source


def _parameter_value(name: str, declaration: Mapping[str, Any], given: str | None) -> str | list[str]:
    where = f"parameter {name}"
    with interpreting(where):
        only(declaration, _PARAMETER, where)
        kind = declaration["Type"]
        if kind not in _PARAMETER_TYPES:
            raise TemplateError(f"{where}: the type {kind} cannot be interpreted here")
        if given is None and "Default" not in declaration:
            raise TemplateError(f"{where} needs a value")
        value = plain_text(declaration["Default"]) if given is None else given
        parts = [part.strip() for part in value.split(",")] if kind == "CommaDelimitedList" else [value]
        for part in parts:
            if kind == "Number" and not _NUMBER.fullmatch(part):
                raise TemplateError(f"{where} cannot be {part}, which is not a number")
            for constraint, holds in _CONSTRAINTS.items():
                if constraint in declaration and not holds(part, declaration[constraint]):
                    raise TemplateError(f"{where} cannot be {part} ({constraint}: {declaration[constraint]})")
        return parts if kind == "CommaDelimitedList" else value


def _expand(source: dict[str, Any], values: Mapping[str, Any], file: str) -> dict[str, Any]:
    for logical_id, resource in source["Resources"].items():
        with interpreting(logical_id):
            properties = resource.get("Properties", {})
            for code in ("CodeUri", "ContentUri"):  # the translator takes only S3 addresses
                if isinstance(properties.get(code), str):
                    properties[code] = _LOCAL_CODE + properties[code]
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    try:
        # Without a session, the translator would read the region from the person's AWS configuration.
        translator = Translator({}, Parser(), boto_session=boto3.session.Session(region_name=REGION))
        expanded: dict[str, Any] = translator.translate(source, dict(values))
    except InvalidDocumentException as error:
        raise TemplateError(f"{file}: {'; '.join(cause.message for cause in error.causes)}") from error
    return expanded


class _Evaluation:
    """Evaluates the intrinsics that the translator leaves: references, conditions and a few functions."""

    def __init__(
        self, resources: Mapping[str, Any], parameters: Mapping[str, Any], conditions: Mapping[str, Any]
    ) -> None:
        self._resources = resources
        self._parameters = parameters
        self._conditions = conditions

    def resources(self) -> dict[str, Resource]:
        found = {}
        for logical_id, resource in self._resources.items():
            with interpreting(logical_id):
                self._known(logical_id)
                if "Condition" in resource and not self._condition(resource["Condition"], logical_id):
                    continue
                properties = self.evaluate(resource.get("Properties", {}), logical_id)
                found[logical_id] = Resource(logical_id, resource["Type"], self._reference(logical_id), properties)
        return found

    def evaluate(self, value: Any, where: str) -> Any:
        if isinstance(value, list):
            items = [self.evaluate(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in {"Ref", "Condition"} or str(name).startswith("Fn::"):
                return self._intrinsic(name, argument, where)
        evaluated = {name: self.evaluate(item, f"{where}.{name}") for name, item in value.items()}
        return {name: item for name, item in evaluated.items() if item is not _NO_VALUE}

    def _intrinsic(self, name: str, argument: Any, where: str) -> Any:  # noqa: PLR0911 - a table of functions
        match name:
            case "Ref":
                return self._ref(argument, where)
            case "Fn::GetAtt":
                logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
                return self._attribute(logical_id, attribute, where)
            case "Fn::Sub":
                text, variables = (argument, {}) if isinstance(argument, str) else argument
                return self._substitute(text, self.evaluate(variables, where), where)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(map(plain_text, self.evaluate(parts, where)))
            case "Fn::Select":
                index, parts = argument
                return self.evaluate(parts, where)[int(index)]
            case "Fn::Split":
                separator, text = argument
                return self.evaluate(text, where).split(separator)
            case _:
                return self._conditional(name, argument, where)

    def _conditional(self, name: str, argument: Any, where: str) -> Any:
        match name:
            case "Fn::If":
                condition, if_true, if_false = argument
                return self.evaluate(if_true if self._condition(condition, where) else if_false, where)
            case "Fn::Equals":
                left, right = self.evaluate(argument, where)
                return str(left) == str(right)
            case "Fn::Not":
                (negated,) = argument
                return not self._truth(negated, where)
            case "Fn::And":
                return all(self._truth(part, where) for part in argument)
            case "Fn::Or":
                return any(self._truth(part, where) for part in argument)
            case "Condition":
                return self._condition(argument, where)
            case _:
                raise TemplateError(f"{where}: the intrinsic {name} cannot be interpreted here")

    def _truth(self, value: Any, where: str) -> bool:
        truth = self.evaluate(value, where)
        if not isinstance(truth, bool):
            raise TemplateError(f"{where}: not a condition: {value}")
        return truth

    def _condition(self, name: str, where: str) -> bool:
        if name not in self._conditions:
            raise TemplateError(f"{where}: unknown condition {name}")
        return self._truth(self._conditions[name], f"Conditions.{name}")

    def _ref(self, name: str, where: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in _PSEUDO_PARAMETERS:
            return _PSEUDO_PARAMETERS[name]
        if name in self._parameters:
            return self._parameters[name]
        if name in self._resources:
            return self._reference(name)
        raise TemplateError(f"{where}: unknown reference {name}")

    def _reference(self, logical_id: str) -> str:
        reference, _ = self._known(logical_id)
        return self._name(reference, logical_id)

    def _attribute(self, logical_id: str, attribute: str, where: str) -> str:
        if logical_id not in self._resources:
            raise TemplateError(f"{where}: unknown reference {logical_id}")
        _, attributes = self._known(logical_id)
        if attribute not in attributes:
            raise TemplateError(f"{where}: the attribute {logical_id}.{attribute} cannot be interpreted here")
        return self._name(attributes[attribute], logical_id)

    def _known(self, logical_id: str) -> tuple[str, Mapping[str, str]]:
        kind = self._resources[logical_id]["Type"]
        if kind not in _RESOURCES:
            raise TemplateError(f"{logical_id}: resources of type {kind} cannot be interpreted here")
        if kind == _FUNCTION and "FunctionName" in self._resources[logical_id].get("Properties", {}):
            return _NAMED_FUNCTION
        return _RESOURCES[kind]

    def _name(self, pattern: str, logical_id: str) -> str:
        properties = self._resources[logical_id].get("Properties", {})
        return pattern.format(
            id=logical_id,
            stack=STACK_NAME,
            region=REGION,
            account=ACCOUNT_ID,
            **{
                name: self.evaluate(properties.get(name, ""), logical_id)
                for name in _NAMING
                if f"{{{name}}}" in pattern
            },
        )

    def _substitute(self, text: str, variables: Mapping[str, Any], where: str) -> str:
        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return plain_text(variables[name])
            logical_id, _, attribute = name.partition(".")
            if attribute:
                return self._attribute(logical_id, attribute, where)
            return plain_text(self._ref(name, where))

        return _SUBSTITUTION.sub(replace, text)
