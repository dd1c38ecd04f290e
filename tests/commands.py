"""The operator's commands, each with arguments that it takes, so that a test of all of them covers a new one, too."""

import os
from collections.abc import Iterator, Sequence

import click

from enrollments.main import main
from enrollments.target import Uuid

ID = "00000000-0000-4000-8000-000000000001"


def commands_with(option: str) -> list[str]:
    """Return the names of all commands that have an option.

    Args:
        option: The option's name in Python, such as ``stack_name``.
    """
    return [name for name, command in _leaves(main) if option in {parameter.name for parameter in command.params}]


def arguments_of(name: str) -> list[str]:
    """Return a command with what it requires: ids of nothing, also of the workspace, and an empty file.

    Args:
        name: The command, such as ``tokens list``.
    """
    command = dict(_leaves(main))[name]
    wanted = [
        parameter
        for parameter in command.params
        if (parameter.required and parameter.name != "stack_name") or parameter.name == "workspace_id"
    ]
    return [*name.split(), *(argument for parameter in wanted for argument in _arguments(parameter))]


def _leaves(command: click.Command, path: Sequence[str] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _leaves(found, (*path, name))


def _arguments(parameter: click.Parameter) -> list[str]:
    value = _value(parameter.type, str(parameter.name))
    return [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]


def _value(kind: click.ParamType, name: str) -> str:  # type: ignore[type-arg] # of whatever it makes
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.Path):
        return os.devnull
    if isinstance(kind, Uuid) or name.endswith("_id"):
        return ID
    return _TEXTS.get(name, "text")


_TEXTS = {"token_ids": "abcdefgh", "token_id": "abcdefgh", "url": "https://connector.example.com/"}
