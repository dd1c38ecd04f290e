"""What no route creates."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from enrollment.store.items import (
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_user_identity,
    stored_workspace,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from experiments.reliability.model.records import AcsUser, Identity, Pool, System, Workspace
from experiments.reliability.model.state import State
from tests.fixtures import put_all

if TYPE_CHECKING:
    from enrollment.store.attributes import Item
    from enrollment.store.keys import Key


def put_sandbox(table: Table, model: State, workspace: str) -> None:
    """Make a workspace a sandbox.  One that an older release has made has no item, and is none."""
    model.workspaces[workspace] = Workspace(workspace, "Sandbox", is_sandbox=True)
    created_at = timestamp(datetime.now(UTC))
    item: Item = {"workspace_id": workspace, "name": "Sandbox", "is_sandbox": True, "created_at": created_at}
    put_all(table, stored_workspace(item))


def put_directory(table: Table, model: State, workspace: str) -> None:
    """Put two credential managers with pools and another system, and some people to begin with."""
    created_at = timestamp(datetime.now(UTC))
    items: dict[Key, Item] = {}
    systems: list[System] = []
    for name in ("Main", "Annex", "Garage"):
        is_manager = name != "Garage"
        default = None if is_manager else systems[1].id
        customer = "customer" if name == "Main" else None
        system = System(workspace, name, is_manager, str(uuid4()), str(uuid4()), created_at, default, customer)
        systems.append(system)
        items |= stored_acs_system(
            {
                "workspace_id": workspace,
                "acs_system_id": system.id,
                "created_at": created_at,
                "name": name,
                "is_credential_manager": is_manager,
                "connected_account_id": system.connected_account,
                **({"default_credential_manager_acs_system_id": default} if default else {}),
                **({"customer_key": customer} if customer else {}),
            }
        )
    for system in (systems[0], systems[0], systems[1]):
        pool = Pool(workspace, system, str(uuid4()), created_at)
        model.pools.append(pool)
        items |= stored_acs_credential_pool(
            {
                "workspace_id": workspace,
                "acs_credential_pool_id": pool.id,
                "acs_system_id": system.id,
                "created_at": created_at,
                "display_name": "Pool",
                "external_type": "hid_part_number",
                "external_type_display_name": "HID",
            }
        )
    model.systems += systems
    for email in ("Jane@example.com", "john@example.com", None):
        identity = Identity(workspace, email=email, id=str(uuid4()), created_at=created_at)
        model.identities.append(identity)
        known = {} if email is None else {"email_address": email}
        common = {"workspace_id": workspace, "created_at": created_at, **known}
        items |= stored_user_identity({"user_identity_id": identity.id, **common})
        acs_user = AcsUser(workspace, systems[0], email=email, id=str(uuid4()), created_at=created_at)
        model.acs_users.append(acs_user)
        items |= stored_acs_user({"acs_user_id": acs_user.id, "acs_system_id": systems[0].id, **common})
    put_all(table, items)
