"""The table after each step: sound, and the model's."""

from typing import Any

from hypothesis.stateful import invariant

from enrollment.store.attributes import Item, elements
from enrollment.store.keys import Key
from experiments.reliability.machine.asking import Asking
from tests.invariants import violations


class TableRules(Asking):
    """What holds after each step."""

    @invariant()
    def table_is_sound_and_the_models(self) -> None:
        self.counts.steps += 1
        items = self.service.items()
        wrong = violations(items)
        assert not wrong, wrong[0]
        model = self.model
        assert _stored(items, "ENROLLMENT_AUTOMATION") == {
            one.id: (one.workspace, one.identity.id, one.system.id, one.created_at) for one in model.automations
        }
        assert _stored(items, "USER_IDENTITY") == {
            one.id: (
                *(one.workspace, one.key, one.email, one.phone, one.name, one.created_at),
                sorted(acs_user.id for acs_user in model.acs_users_of(one)),
            )
            for one in model.identities
        }
        assert _stored(items, "ACS_USER") == {
            one.id: (
                *(one.workspace, one.system.id, one.name, one.email, one.phone, one.created_at),
                one.identity and one.identity.id,
                (one.schedule or {}).get("starts_at"),
                (one.schedule or {}).get("ends_at"),
            )
            for one in model.acs_users
        }
        assert _stored(items, "ACS_SYSTEM") == {
            one.id: (one.workspace, one.name, one.is_manager, one.created_at) for one in model.systems
        }
        assert _stored(items, "ACS_CREDENTIAL_POOL") == {
            one.id: (one.workspace, one.system.id, one.name, one.created_at) for one in model.pools
        }


def _stored(items: dict[Key, Item], kind: str) -> dict[str, tuple[Any, ...]]:
    """Return the table's records of a kind as the model has them."""
    found: dict[str, tuple[Any, ...]] = {}
    for key, item in items.items():
        if kind == "ENROLLMENT_AUTOMATION" and key.sk.startswith("ENROLLMENT_AUTOMATION#"):
            names = ["workspace_id", "user_identity_id", "credential_manager_acs_system_id", "created_at"]
            found[str(item["enrollment_automation_id"])] = tuple(item[name] for name in names)
        elif kind == key.sk == "USER_IDENTITY":
            names = ["workspace_id", "user_identity_key", "email_address", "phone_number", "full_name", "created_at"]
            listed = elements(item.get("acs_user_ids"))
            found[str(item["user_identity_id"])] = (*(item.get(name) for name in names), listed)
        elif kind == key.sk == "ACS_USER":
            names = ["workspace_id", "acs_system_id", "full_name", "email_address", "phone_number", "created_at"]
            names += ["user_identity_id", "access_starts_at", "access_ends_at"]
            found[str(item["acs_user_id"])] = tuple(item.get(name) for name in names)
        elif kind == key.sk == "ACS_SYSTEM":
            names = ["workspace_id", "name", "is_credential_manager", "created_at"]
            found[str(item["acs_system_id"])] = tuple(item[name] for name in names)
        elif kind == key.sk == "ACS_CREDENTIAL_POOL":
            names = ["workspace_id", "acs_system_id", "display_name", "created_at"]
            found[str(item["acs_credential_pool_id"])] = tuple(item[name] for name in names)
    return found
