"""The command ``enrollments``."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, override

import click


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command is, and its line in the help.  The help must not import the command."""

    module: str
    name: str
    help: str


class _LazyGroup(click.Group):
    """A group that imports a command only when it is called, because moto and boto3 take a second to import.

    The help appears at once, and click handles Ctrl-C during the imports.
    """

    def __init__(self, *arguments: Any, places: Mapping[str, _Place], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._places = places

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._places)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(place.module), place.name)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._places[name].help) for name in self.list_commands(ctx)])


@click.group(
    cls=_LazyGroup,
    places={
        "connectors": _Place(
            "enrollments.connectors.commands", "connectors", "Set, try and show the connectors of credential managers."
        ),
        "credentials": _Place("enrollments.waiting", "credentials", "Show which credentials of phones wait, and why."),
        "deploy": _Place(
            "enrollments.deploying", "deploy", "Look whether a deployment can begin, and show what was deployed."
        ),
        "directory": _Place(
            "enrollments.directory.commands",
            "directory",
            "Import and export ACS systems, credential pools and ACS users.",
        ),
        "doctor": _Place(
            "enrollments.doctor.commands", "doctor", "Look whether a deployed system works, and say what to do."
        ),
        "events": _Place("enrollments.events", "events", "Follow events, and send those again that were not recorded."),
        "local": _Place("enrollments.local.commands", "local", "Run the deployed system on this machine, without AWS."),
        "openapi": _Place("enrollments.openapi", "openapi", "Print the API document, made from the code."),
        "phones": _Place("enrollments.waiting", "phones", "Show which phones wait, and why."),
        "provisioning": _Place(
            "enrollments.provisioning", "provisioning", "Find enrollments that stand still, and have them go on."
        ),
        "tokens": _Place("enrollments.tokens", "tokens", "Issue, list, rotate and revoke the tokens of clients."),
        "user-identities": _Place(
            "enrollments.user_identities", "user_identities", "Prove that a user identity was deleted."
        ),
        "workspaces": _Place("enrollments.workspaces", "workspaces", "Create, list, move and delete workspaces."),
        "webhooks": _Place("enrollments.webhooks", "webhooks", "List webhooks, and what fails."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="enrollment-automations", prog_name="enrollments", message="%(prog)s %(version)s")
def main() -> None:
    """Run and operate the service that launches enrollment automations."""
