"""The connectors of a round: each has a manufacturer with a record of its own, an owner, and an operator who changes it.

What a connector can do is in its path, so that it can be seen whether the table has what the present one has told.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from json import dumps, loads
from random import Random
from typing import Any
from urllib.parse import urlsplit

from enrollment.errors import ServiceUnavailable
from enrollment.managers.connector import Connector
from enrollment.managers.protocol import Request, RequestType
from enrollment.outbound.https import Attempt
from enrollment.secrets import connector_secret
from enrollment.store.actions import Action, as_read, change, delete, put
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, connector_pools_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId, former_secrets, live_secret_versions, next_revision
from enrollment.use_cases.standing_still import enrollments_of_workspace, have_go_on
from examples.connector.manufacturer import CredentialState, PhoneState
from tests.connectors import MASTER, Network, Recorded
from tests.in_memory import InMemory
from tests.provisioning import AtManager, Clock

POOLS = {"standard": 100, "visitor": 3}
_FORMER_SECRETS_LAST = timedelta(days=30)


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
            ("set connector", 0.6, partial(self.set, manager_id)),
            ("pause connector", 0.5, partial(self._pause, manager_id)),
            ("resume connector", 1, partial(self._resume, manager_id)),
            ("rotate secret", 0.6, partial(self._rotate, manager_id)),
            ("switch secret", 0.6, partial(self._switch, manager_id)),
            ("remove connector", 0.3, partial(self._remove, manager_id)),
        )

    def set(self, manager_id: str) -> None:
        """Set a connector, or set it anew; its secret stays."""
        known, now = self._known(manager_id), self.clock.now()
        connector_id = ConnectorId(self.workspace_id, manager_id)
        abilities = (self.random.choice("01"), self.random.choice("01"))
        kept = {name: known[name] for name in ("secret_version", "former_secrets") if known and name in known}
        item: Item = {
            "workspace_id": self.workspace_id,
            "acs_system_id": manager_id,
            "url": f"https://connector.example/{'/'.join(abilities)}",
            "set_at": timestamp(now),
            "revision": next_revision(known, now),
            "secret_version": timestamp(now),
            **kept,
        }
        if not kept:
            self.networks[manager_id].secret = self._secret(manager_id, str(item["secret_version"]))
            self.to_be_switched.pop(manager_id, None)
        self.store.table.transact({"connector": put(connector_id.key, item)})
        self._go_on(manager_id)

    def _pause(self, manager_id: str) -> None:
        self._change(manager_id, assign={"paused_at": timestamp(self.clock.now())})

    def _resume(self, manager_id: str) -> None:
        if self._known(manager_id) is None:
            self.set(manager_id)
            return
        self._change(manager_id, remove=["paused_at", "next_check_at"])
        self._go_on(manager_id)

    def _rotate(self, manager_id: str) -> None:
        known = self._known(manager_id)
        if known is None:
            return
        until = timestamp(self.clock.now() + _FORMER_SECRETS_LAST)
        former = {**former_secrets(known), str(known["secret_version"]): until}
        version = timestamp(max(self.clock.now(), self.clock.now()))
        if version == known["secret_version"]:
            return
        named = frozenset(f"{one} {its_until}" for one, its_until in former.items())
        self._change(manager_id, assign={"secret_version": version, "former_secrets": named})
        self.to_be_switched[manager_id] = version

    def _switch(self, manager_id: str) -> None:
        """Have the owner write the new secret into the connector's settings."""
        if (version := self.to_be_switched.pop(manager_id, None)) is not None:
            self.networks[manager_id].secret = self._secret(manager_id, version)

    def _remove(self, manager_id: str) -> None:
        connector_id = ConnectorId(self.workspace_id, manager_id)
        pools = connector_pools_key(*connector_id)
        self.store.table.transact({"connector": delete(connector_id.key), "pools": delete(pools)})

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
            self._resume(manager_id)
            self._switch(manager_id)
            known = self._known(manager_id) or {}
            self.networks[manager_id].secret = self._secret(manager_id, str(known["secret_version"]))

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
            self.look()
            self.pause("its answer")
        except ServiceUnavailable:  # what is lost here is not the database's
            return Attempt(None, "connection", 0.0)
        if loads(body)["type"] != RequestType.MANAGER_CHECK or attempt.status != 200:
            return attempt
        keeps_validity, one_step = abilities_of(url)
        told = {**loads(attempt.body), "keeps_validity": keeps_validity, "one_step": one_step}
        return attempt._replace(body=dumps(told).encode())

    def deliver_late(self, manager_id: str, item: Item, request: Request) -> object:
        """Deliver a request long after it was sent: it has the signatures of that time."""
        connector = self.connector(manager_id, item)
        return partial(connector.ask, request)

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

    def _known(self, manager_id: str) -> Item | None:
        return self.store.table.get(ConnectorId(self.workspace_id, manager_id).key)

    def _change(self, manager_id: str, *, assign: Mapping[str, Any] | None = None, remove: Sequence[str] = ()) -> None:
        known = self._known(manager_id)
        if known is None:
            return
        changed: dict[str, Any] = {**(assign or {}), "revision": next_revision(known, self.clock.now())}
        key: Key = ConnectorId(self.workspace_id, manager_id).key
        action: Action = change(key, assign=changed, remove=list(remove), where=as_read(known, ["revision"]))
        self.store.table.transact({"connector": action})

    def _go_on(self, manager_id: str) -> None:
        for enrollment_id in enrollments_of_workspace(self.store.table, self.workspace_id):
            if enrollment_id.manager_id == manager_id:
                have_go_on(self.store.table, enrollment_id)

    def _secret(self, manager_id: str, version: str) -> str:
        return connector_secret(MASTER, self.workspace_id, manager_id, version)


def abilities_of(url: str) -> tuple[bool, bool]:
    """Return whether the connector at a URL keeps validities, and whether registering issues something."""
    keeps_validity, one_step = urlsplit(url).path.strip("/").split("/")
    return keeps_validity == "1", one_step == "1"
