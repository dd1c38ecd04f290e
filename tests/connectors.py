"""A connector as tests have one: the example's, behind a network that does as a test says.

The manufacturer's own record is compared with the table after each request and each transaction.
"""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, override
from uuid import uuid4

from enrollment.callers import Caller
from enrollment.managers.connector import MOST_ANSWER_BYTES, Connector
from enrollment.managers.protocol import CredentialManager, Request
from enrollment.outbound.https import Attempt, post
from enrollment.secrets import connector_secret
from enrollment.store.actions import change
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, acs_credential_pool_key, manager_pause_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId, live_secret_versions
from enrollment.use_cases.connectors import (
    pause_connector,
    remove_connector,
    resume_connector,
    rotate_secret,
    set_connector,
)
from enrollment.use_cases.enrollments import EnrollmentId, read_view
from enrollment.use_cases.standing_still import have_all_go_on
from enrollment.use_cases.waiting import Waiting, waiting_credentials, waiting_phones
from examples.connector.connector import create_app
from examples.connector.manufacturer import Manufacturer
from tests.fixtures import Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import Directory
from tests.provisioning import AtManager, Clock, Provisioning, in_table, requests_on, wrong_at_any_moment
from tests.serving import serving

MASTER = b"the master secret of these tests"
# How long a request may take where a test wants one that is too slow.
SHORT_SECONDS = 0.3


class Recorded(Manufacturer):
    """A pretended manufacturer whose record can be compared with the table."""

    def record(self) -> AtManager:
        """Return what it has: its phones, and the credentials that nobody began to remove, by our ids."""
        phones = {one.id: one.reference for one in self._phones.values()}
        living = [one for one in self._phones.values() if one.removed_at is None and not one.is_taken_away]
        credentials: dict[str, set[str]] = {one.reference: set() for one in living}
        for one in self._credentials.values():
            if self._is_living(one):
                credentials.setdefault(phones[one.phone_id], set()).add(one.reference)
        return AtManager({one: frozenset(ids) for one, ids in credentials.items()})

    def forget_what_is_removed(self) -> None:
        """Forget the references of what is removed, which no manufacturer may do."""
        self._phones = {name: one for name, one in self._phones.items() if one.removed_at is None}
        self._credentials = {name: one for name, one in self._credentials.items() if self._is_living(one)}

    def codes(self) -> set[str]:
        """Return the codes of all invitations, which are secret."""
        return {one.code for one in self._phones.values() if one.code}

    def people(self) -> list[str]:
        """Return the references of its people."""
        return sorted(self._people)


class Answer(NamedTuple):
    """What a connector answers.

    Attributes:
        status: The status.
        headers: The headers.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Sent:
    """A request that has come by the network.

    Attributes:
        body: Its body.
        work: Hands it to the connector, and returns what that answers.
        connection: Where its answer is written to.
    """

    body: bytes
    work: Callable[[], Answer]
    connection: socket.socket

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


# Returns the answer that is sent; ``None`` closes the connection.
type Fault = Callable[[Sent], Answer | None]


def well(sent: Sent) -> Answer:
    """Let a request through."""
    return sent.work()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: Callable[[], ssl.SSLContext] | None = None

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self.tls().wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)


@dataclass
class Network:
    """Where the connector is reached.

    Attributes:
        manufacturer: The connector's.
        secret: What the connector's owner has written into its settings.
        fault: What happens to each request.
        came: The requests that came, each as a function that delivers it to the connector once more.
        statuses: What the connector answered, also to what was delivered once more.
    """

    manufacturer: Manufacturer
    secret: str = ""
    fault: Fault = well
    came: list[Callable[[], Answer]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _clients: dict[str, Any] = field(default_factory=dict)

    def work(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Hand a request to the connector.  The answer's length is not among its headers."""
        if self.secret not in self._clients:
            self._clients[self.secret] = create_app(self.secret, self.manufacturer).test_client()
        response = self._clients[self.secret].post("/", data=body, headers=dict(headers))
        self.statuses.append(response.status_code)
        headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
        return Answer(response.status_code, headers, response.get_data())

    def post(self, _: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Stand in for a request, without any network."""
        answer = self.work(body, headers)
        return Attempt(answer.status, None, 0.0, answer.body, answer.headers.get("Retry-After"))

    @contextmanager
    def listening(self, port: int = 0, tls: Callable[[], ssl.SSLContext] | None = None) -> Iterator[str]:
        """Listen on loopback until the context ends, and return the address."""
        network = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                work = partial(network.work, body, dict(self.headers))
                network.came.append(work)
                answer = network.fault(Sent(body, work, self.connection))
                if answer is None:
                    with suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer.status)
                headers = {"Content-Length": str(len(answer.body)), **answer.headers}
                for header in headers.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(answer.body)

            @override
            def handle(self) -> None:
                with suppress(OSError):  # who asked has not waited
                    super().handle()

            @override
            def log_message(self, *_: Any) -> None:
                pass

        server = _Server(("127.0.0.1", port), Handler)
        server.tls = tls
        with serving(server) as address:
            yield address if tls is None else address.replace("http://127.0.0.1", "https://localhost")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@dataclass
class World:
    """A workspace that is no sandbox: one person, one credential manager with a connector.

    Attributes:
        clock: The clock of all that happens.
        memory: The table.
        network: Where the connector is reached.
        send: Sends requests; by default without any network.
        before_request: Called before each request to the connector.
        after_request: Called after each.
        wrong: What was wrong after a request or a transaction.
        when: When which request was sent.
    """

    clock: Clock = field(default_factory=Clock)
    memory: InMemory = field(default_factory=InMemory)
    manufacturer: Recorded = field(init=False)
    network: Network = field(init=False)
    send: Callable[[str, bytes, Mapping[str, str]], Attempt] | None = None
    before_request: Callable[[Request], None] = lambda _: None
    after_request: Callable[[Request], None] = lambda _: None
    wrong: list[str] = field(default_factory=list)
    when: list[tuple[datetime, Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manufacturer = Recorded(now=self.clock.now)
        self.network = Network(self.manufacturer)
        self.workspace = Workspace(self.memory.table, str(uuid4()))
        self.workspace.exist()
        self.directory = Directory(self.memory.table, Caller(self.workspace.workspace_id))
        self.manager_id = self.workspace.credential_manager()
        self.connector_id = ConnectorId(self.workspace.workspace_id, self.manager_id)
        self.pool_id = self.workspace.acs_credential_pool(self.manager_id)
        named = change(acs_credential_pool_key(self.workspace.workspace_id, self.pool_id), assign={"pool": "visitor"})
        assert not self.memory.table.transact({"pool": named})
        self.person_id = self.workspace.user_identity(full_name="Jane Doe", email_address="jane@example.com")
        self.enrollment_id = EnrollmentId(self.workspace.workspace_id, self.person_id, self.manager_id)
        self.acs_user_id = self.directory.create_acs_user(
            self.workspace.acs_system(), user_identity_id=self.person_id
        ).acs_user_id
        self.provisioning = Provisioning(
            self.memory.table, self.memory.items, self.clock, connector_of=self.connector_of
        )
        self.memory.after = lambda _: self.look()

    # What clients do

    def launch(self, *, with_pool: bool = True) -> str:
        options: dict[str, Any] = {"create_credential_manager_user": True}
        if with_pool:
            options["acs_credential_pool_id"] = self.pool_id
        return self.directory.launch(self.person_id, self.manager_id, **options).enrollment_automation_id

    def create_credential(self, **validity: Any) -> str:
        return self.directory.create_credential(
            self.acs_user_id, credential_manager_acs_system_id=self.manager_id, **validity
        ).acs_credential_id

    def start_app(self, installation: str, model: str = "Phone") -> str:
        """Register a phone, and return its id."""
        before = self.directory.phones(owner_user_identity_id=self.person_id)
        self.directory.session(self.person_id).start_app(installation, phone_os="ios", model=model)
        after = self.directory.phones(owner_user_identity_id=self.person_id)
        return next(iter(set(after) - set(before)), "")

    # What the operator does

    def set_connector(self, url: str = "http://127.0.0.1:1/") -> None:
        """Set the connector, and have its owner write the secret into its settings."""
        now = self.clock.now()
        done = set_connector(self.memory.table, self.connector_id, url, on_loopback=True, now=now)
        if done.is_new:
            self.network.secret = self.secret(done.secret_version)
        have_all_go_on(self.memory.table, self.connector_id, now)

    def pause_connector(self) -> None:
        pause_connector(self.memory.table, self.connector_id, now=self.clock.now())

    def resume_connector(self) -> None:
        resume_connector(self.memory.table, self.connector_id, now=self.clock.now())
        have_all_go_on(self.memory.table, self.connector_id, self.clock.now())

    def remove_connector(self) -> None:
        remove_connector(self.memory.table, self.connector_id)

    def rotate_secret(self, **overlap: float) -> str:
        """Rotate the secret, and return the new one."""
        overlap_ = timedelta(**overlap)
        version = rotate_secret(self.memory.table, self.connector_id, overlap=overlap_, now=self.clock.now())
        return self.secret(version)

    def secret(self, version: str) -> str:
        return connector_secret(MASTER, *self.connector_id, version)

    # What is stored

    def connector(self) -> Item | None:
        return self.memory.items().get(self.connector_id.key)

    def pause(self) -> Item | None:
        return self.memory.items().get(manager_pause_key(*self.connector_id))

    def registrations(self) -> dict[str, Item]:
        """Return the registrations of phones, by the phone's id."""
        items = self.memory.items()
        return {str(item["device_id"]): item for key, item in items.items() if key.sk.startswith("REGISTRATION#")}

    def children(self, device_id: str | None = None) -> list[Item]:
        """Return the credentials of phones, or of one phone."""
        return [
            item
            for key, item in self.memory.items().items()
            if key.sk.startswith("CREDENTIAL#") and "device_id" in item and device_id in {None, item["device_id"]}
        ]

    def asked(self, *kinds: str) -> list[Request]:
        """Return the requests of some types, or all."""
        return [one for one in self.provisioning.asked if not kinds or one.type in kinds]

    def waiting(self) -> list[Waiting]:
        """Return what the operator's commands show of the person's phones and credentials that wait."""
        view, now = read_view(self.memory.table, self.enrollment_id), timestamp(self.clock.now())
        shown = [*waiting_phones(view, now), *waiting_credentials(view, now)]
        return [one for one in shown if one.why is not None]

    def facts(self, what: str | None = None) -> list[Mapping[str, Any]]:
        """Return what was told."""
        return [facts for name, facts in self.provisioning.told if what in {None, name}]

    def pass_time(self, **duration: float) -> None:
        """Run what becomes due while the time passes."""
        self.provisioning.pass_time(**duration)

    # What is true

    def look(self) -> None:
        """Compare the manufacturer's record with the table."""
        self.wrong += wrong_at_any_moment(self.memory.items(), self.manufacturer.record())

    def differing(self) -> list[str]:
        """Return what is wrong, and in what the manufacturer's record differs from the table."""
        known, found = in_table(self.memory.items()).credentials, self.manufacturer.record().credentials
        return [*self.wrong, *([] if known == found else [f"the table has {known}, the manufacturer {found}"])]

    def keys_of_people(self) -> list[Key]:
        """Return the keys of all items of people."""
        return [key for key in self.memory.items() if "#USER_IDENTITY#" in key.pk]

    def connector_of(self, connector_id: ConnectorId, item: Item) -> CredentialManager:
        """Return the connector, as its item says how it is asked."""
        versions = live_secret_versions(item, self.clock.now())
        secrets = [connector_secret(MASTER, *connector_id, version) for version in versions]
        return _Looking(self, Connector(self.send or self.network.post, str(item["url"]), secrets))


@dataclass(frozen=True)
class _Looking:
    """A connector, after each of whose requests the manufacturer's record is compared with the table."""

    world: World
    connector: Connector

    def ask(self, request: Request) -> Mapping[str, Any]:
        self.world.when.append((self.world.clock.at, request))
        self.world.before_request(request)
        try:
            return self.connector.ask(request)
        finally:
            self.world.look()
            self.world.after_request(request)


def over_http(tls: ssl.SSLContext | None = None, longest_seconds: float = 10) -> Any:
    """Return what sends requests by HTTP on loopback, as the function does."""
    return partial(post, on_loopback=True, longest_seconds=longest_seconds, most_bytes=MOST_ANSWER_BYTES, tls=tls)


@contextmanager
def world_over_http(tls: ssl.SSLContext | None = None) -> Iterator[World]:
    """Yield a world whose requests go by HTTP on loopback."""
    world = World(send=over_http(tls))
    with requests_on(world.clock):
        yield world


def nap(seconds: float) -> None:
    """Wait on the real clock."""
    time.sleep(seconds)
