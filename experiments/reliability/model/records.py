"""What the workspaces have."""

from dataclasses import dataclass


@dataclass(eq=False)
class Identity:
    """A user identity."""

    workspace: str
    key: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    id: str = ""
    created_at: str = ""


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
    """A token; sessions are for identities, by their ids."""

    text: str
    kind: str
    workspaces: tuple[str, ...]
    identities: tuple[str, ...] = ()
    is_good: bool = True
