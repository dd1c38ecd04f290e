"""What the workspaces have."""

from dataclasses import dataclass


@dataclass(eq=False)
class Identity:
    """A user identity.  The deletion of one may have been interrupted: only deleting it again finds it then."""

    workspace: str
    key: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    id: str = ""
    created_at: str = ""
    is_being_deleted: bool = False


@dataclass(eq=False)
class System:
    """An ACS system."""

    workspace: str
    name: str
    is_manager: bool
    connected_account: str
    id: str
    created_at: str
    default_manager: str | None = None
    customer_key: str | None = None


@dataclass(eq=False)
class Pool:
    """A credential pool."""

    workspace: str
    system: System
    id: str
    created_at: str
    name: str = "Pool"
    type_name: str = "HID"


@dataclass(eq=False)
class AcsUser:
    """An ACS user."""

    workspace: str
    system: System
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    schedule: dict[str, str | None] | None = None
    identity: Identity | None = None
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Automation:
    """An enrollment automation, with what its launch asked for."""

    workspace: str
    identity: Identity
    system: System
    asked: tuple[Pool | None, bool, AcsUser | None]
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Token:
    """A token.

    That of a client session has it as ``session``, unless it was issued before there were any: then it has the ids of
    its user identities itself.
    """

    text: str
    kind: str
    workspaces: tuple[str, ...]
    identities: tuple[str, ...] = ()
    is_good: bool = True
    session: "ClientSession | None" = None


@dataclass(eq=False)
class ClientSession:
    """A client session; ``identities`` are the ids of its user identities."""

    workspace: str
    key: str | None
    identities: set[str]
    expires_at: str
    token: str = ""
    is_revoked: bool = False
    is_expired: bool = False
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Workspace:
    """A workspace."""

    id: str
    name: str
    is_sandbox: bool


@dataclass(eq=False)
class Phone:
    """A phone; ``known`` is what was said of it: ``manufacturer``, ``model``, ``os_version``."""

    workspace: str
    identity: Identity
    system: str
    known: dict[str, str]
    installation: str | None
    display_name: str = ""
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Credential:
    """A credential that an ACS user has from a credential manager."""

    workspace: str
    acs_user: AcsUser
    identity: Identity
    manager: System
    starts_at: str
    ends_at: str | None
    display_name: str = ""
    warning: str = ""
    id: str = ""
    created_at: str = ""


type Thing = Identity | AcsUser | Automation | ClientSession | Phone | Credential
