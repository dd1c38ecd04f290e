"""The connectors of a round: each has a manufacturer with a record of its own, and an operator who changes it.

What a connector can do is in its path, so that it can be seen whether the table has what the present one has told.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from json import dumps, loads
from random import Random
from urllib.parse import urlsplit

from enrollment.errors import ServiceUnavailable
from enrollment.managers.connector import Connector
from enrollment.managers.protocol import RequestType
from enrollment.outbound.https import Attempt
from enrollment.secrets import connector_secret
from enrollment.store.attributes import Item
from enrollment.use_cases.connector_items import ConnectorId, live_secret_versions
from enrollment.use_cases.connectors import (
    ChangedMeanwhileError,
    NoConnectorError,
    pause_connector,
    read_connector,
    remove_connector,
    resume_connector,
    rotate_secret,
    set_connector,
)
from enrollment.use_cases.standing_still import have_all_go_on
from tests.connectors import MASTER, Network, Recorded
from tests.in_memory import InMemory
from tests.provisioning import AtManager, Clock

POOLS = {"standard": 100, "visitor": 3}
# What an operator is told whom others forestall.
_OTHERS_WERE_FASTER = (NoConnectorError, ChangedMeanwhileError)
_OVERLAP = timedelta(days=30)  # longer than a round


@dataclass
class Connected:
    """The connectors of a round.

    Attributes:
        store: The table.
        workspace_id: The workspace.
        managers: The credential managers.
        clock: The clock of all that happens.
        random: Decides everything.
        pause: Called before a request is sent, and before its answer is read.
        look: Called after each request.
        counts: What has happened.
    """

    store: InMemory
    workspace_id: str
    managers: Sequence[str]
    clock: Clock
    random: Random
    pause: Callable[[str], None]
    look: Callable[[], None]
    counts: Counter[str]
    manufacturers: dict[str, Recorded] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    to_be_switched: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for manager_id in self.managers:
            self.manufacturers[manager_id] = Recorded(now=self.clock.now, pools=POOLS)
            self.networks[manager_id] = Network(self.manufacturers[manager_id])
            self.set(manager_id)

    # The operator's and the owners' deeds

    def deeds(self, manager_id: str) -> Sequence[tuple[str, float, Callable[[], object]]]:
        """Return what an operator or an owner can do with a connector: names, weights, and functions."""
        return (
            ("set connector", 0.6, partial(self._set_again, manager_id)),
            ("pause connector", 0.5, partial(self._pause, manager_id)),
            ("resume connector", 1, partial(self._resume, manager_id)),
            ("rotate secret", 0.6, partial(self._rotate, manager_id)),
            ("switch secret", 0.6, partial(self._switch, manager_id)),
            ("remove connector", 0.3, partial(self._remove, manager_id)),
        )

    def set(self, manager_id: str) -> None:
        """Set a connector, or give it another address.  One that is new has another secret, which its owner gets."""
        connector_id = ConnectorId(self.workspace_id, manager_id)
        url = f"http://127.0.0.1:1/{self.random.choice('01')}/{self.random.choice('01')}"
        done = set_connector(self.store.table, connector_id, url, on_loopback=True, now=self.clock.now())
        if done.is_new:
            self.to_be_switched[manager_id] = done.secret_version
            self._switch(manager_id)
        have_all_go_on(self.store.table, connector_id, self.clock.now())

    def _set_again(self, manager_id: str) -> None:
        with suppress(*_OTHERS_WERE_FASTER):
            self.set(manager_id)

    def _pause(self, manager_id: str) -> None:
        with suppress(*_OTHERS_WERE_FASTER):
            pause_connector(self.store.table, ConnectorId(self.workspace_id, manager_id), now=self.clock.now())

    def _resume(self, manager_id: str) -> None:
        connector_id, now = ConnectorId(self.workspace_id, manager_id), self.clock.now()
        with suppress(*_OTHERS_WERE_FASTER):
            resume_connector(self.store.table, connector_id, now=now)
            have_all_go_on(self.store.table, connector_id, now)

    def _rotate(self, manager_id: str) -> None:
        connector_id, now = ConnectorId(self.workspace_id, manager_id), self.clock.now()
        with suppress(*_OTHERS_WERE_FASTER):
            self.to_be_switched[manager_id] = rotate_secret(self.store.table, connector_id, overlap=_OVERLAP, now=now)

    def _switch(self, manager_id: str) -> None:
        """Have the owner write the new secret into the connector's settings."""
        if (version := self.to_be_switched.pop(manager_id, None)) is not None:
            self.networks[manager_id].secret = self._secret(manager_id, version)

    def _remove(self, manager_id: str) -> None:
        with suppress(*_OTHERS_WERE_FASTER):
            remove_connector(self.store.table, ConnectorId(self.workspace_id, manager_id))

    def take_something_away(self) -> None:
        """Have a manufacturer's administrator take a credential or a phone away."""
        manufacturer = self.manufacturers[self.random.choice(self.managers)]
        if not (phones := sorted(manufacturer.record().credentials.items())):
            return
        registration_id, credentials = self.random.choice(phones)
        if credentials and self.random.random() < 0.7:
            manufacturer.take_credential_away(self.random.choice(sorted(credentials)))
        else:
            manufacturer.take_phone_away(registration_id)

    def repair(self) -> None:
        """Have all connectors set and watched, and their owners know the secrets."""
        for manager_id in self.managers:
            self.set(manager_id)
            self._resume(manager_id)
            connector = read_connector(self.store.table, ConnectorId(self.workspace_id, manager_id)).connector
            self.networks[manager_id].secret = self._secret(manager_id, str(connector["secret_version"]))

    # Requests

    def connector(self, manager_id: str, item: Item) -> Connector:
        """Return a connector, as it is stored."""
        versions = live_secret_versions(item, self.clock.now())
        secrets = [self._secret(manager_id, version) for version in versions]
        return Connector(partial(self._post, self.networks[manager_id]), str(item["url"]), secrets)

    def _post(self, network: Network, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        try:
            self.pause("a request to a connector")
            attempt = network.post(url, body, headers)
            self.counts["requests that reached a connector"] += 1
            self.look()
            self.pause("its answer")
        except ServiceUnavailable:  # what is lost here is not the database's
            return Attempt(None, "connection", 0.0)
        if loads(body)["type"] != RequestType.MANAGER_CHECK or attempt.status != 200:
            return attempt
        keeps_validity, one_step = abilities_of(url)
        told = {**loads(attempt.body), "keeps_validity": keeps_validity, "one_step": one_step}
        return attempt._replace(body=dumps(told).encode())

    # What is true

    def record(self) -> AtManager:
        """Return what all manufacturers have."""
        records = [one.record().credentials for one in self.manufacturers.values()]
        return AtManager({name: ids for record in records for name, ids in record.items()})

    def wrong(self) -> list[str]:
        """Return which connectors are stored with what another one has told."""
        items = self.store.items()
        connectors = [item for key, item in items.items() if key.sk == "CONNECTOR" and "checked_at" in item]
        return [
            f"the connector at {item['url']} is stored with what another one has told"
            for item in connectors
            if (item["keeps_validity"], item["one_step"]) != abilities_of(str(item["url"]))
        ]

    def left(self) -> list[str]:
        """Return what manufacturers still have of people."""
        return [f"a manufacturer has {one.people()}" for one in self.manufacturers.values() if one.people()]

    def _secret(self, manager_id: str, version: str) -> str:
        return connector_secret(MASTER, self.workspace_id, manager_id, version)


def abilities_of(url: str) -> tuple[bool, bool]:
    """Return whether the connector at a URL keeps validities, and whether registering issues something."""
    keeps_validity, one_step = urlsplit(url).path.strip("/").split("/")
    return keeps_validity == "1", one_step == "1"
