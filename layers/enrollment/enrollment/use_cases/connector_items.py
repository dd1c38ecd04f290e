"""Connectors, as they are stored: one item for a credential manager outside sandboxes.

Two kinds of writers meet in it.  The operator's command writes the address, the version of the signing secret, and
whether the operator has paused it (``connectors``).  The watch writes what the connector answers about itself
(``manager_checks``).  Whoever writes checks what the choice was based on.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from enrollment.store.attributes import Item, elements
from enrollment.store.keys import Key, connector_key
from enrollment.timestamps import timestamp

# What the watch has found out about the connector at one address, and when it asks next.
OF_ADDRESS = (
    "checked_at",
    "keeps_validity",
    "one_step",
    "abilities_changed_at",
    "asked_at",
    "next_check_at",
    "unanswered_since",
    "unanswered_because",
)
# What of this is over when an operator sets or resumes the connector: then it is asked at once, and its phones follow
# what it told last.
UNTIL_ASKED_ANEW = ("next_check_at", "abilities_changed_at")


class ConnectorId(NamedTuple):
    """Names a connector.

    Attributes:
        workspace_id: The workspace.
        manager_id: The credential manager, which is an ACS system.
    """

    workspace_id: str
    manager_id: str

    @property
    def key(self) -> Key:
        """The key of the connector's item."""
        return connector_key(*self)

    def to_json(self) -> dict[str, str]:
        """Return this as it is in an execution's input and in log lines."""
        return {"workspace_id": self.workspace_id, "credential_manager_acs_system_id": self.manager_id}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ConnectorId":
        """Read what ``to_json`` has written."""
        return cls(str(content["workspace_id"]), str(content["credential_manager_acs_system_id"]))


def next_revision(before: Item | None, now: datetime) -> int:
    """Return the next revision of a connector.

    It is the time in milliseconds, so that a connector that is removed and set again gets no revision again: a revision
    names an execution, and AWS keeps a name for a week.

    Args:
        before: The item; ``None`` if there is none.
        now: The time.
    """
    known = 0 if before is None else int(str(before["revision"]))
    return max(known + 1, int(now.timestamp() * 1000))


def former_secrets(connector: Item) -> dict[str, str]:
    """Return until when each former signing secret counts, by its version.

    Args:
        connector: The item.
    """
    return dict(each.split(" ", 1) for each in elements(connector.get("former_secrets")))


def live_secret_versions(connector: Item, now: datetime) -> list[str]:
    """Return the versions of the secrets that sign now, the newest first.

    Args:
        connector: The item.
        now: The time.
    """
    moment = timestamp(now.astimezone(UTC))
    former = [version for version, until in former_secrets(connector).items() if until > moment]
    return [str(connector["secret_version"]), *sorted(former, reverse=True)]
