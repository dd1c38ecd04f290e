"""The table after each step: sound, and the model's."""

from collections.abc import Mapping
from typing import Any

from hypothesis.stateful import invariant

from enrollment.store.attributes import Item, elements
from enrollment.store.keys import Key
from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.service import Counts, Service
from experiments.reliability.model.state import State
from tests.invariants import violations

type Records = dict[str, tuple[Any, ...]]
type Revisions = dict[tuple[str, str], int]

# Of each kind of record, by how its sort key begins: the attribute that has its id, and others that are compared.
_KINDS = {
    "ENROLLMENT_AUTOMATION#": ("enrollment_automation_id", ["user_identity_id", "credential_manager_acs_system_id"]),
    "USER_IDENTITY": (
        "user_identity_id",
        ["user_identity_key", "email_address", "phone_number", "full_name", "acs_user_ids"],
    ),
    "ACS_USER": (
        "acs_user_id",
        [
            *("acs_system_id", "full_name", "email_address", "phone_number", "user_identity_id"),
            *("access_starts_at", "access_ends_at", "acs_credential_ids"),
        ],
    ),
    "ACS_SYSTEM": ("acs_system_id", ["name", "is_credential_manager"]),
    "ACS_CREDENTIAL_POOL": ("acs_credential_pool_id", ["acs_system_id", "display_name"]),
    "CLIENT_SESSION": ("client_session_id", ["user_identifier_key", "user_identity_ids", "expires_at"]),
    "PHONE#": ("device_id", ["user_identity_id", "custom_sdk_installation_id"]),
    "CREDENTIAL#": (
        "acs_credential_id",
        ["acs_user_id", "user_identity_id", "credential_manager_acs_system_id", "starts_at", "ends_at"],
    ),
}
_SETS = {"acs_user_ids", "acs_credential_ids"}


class TableRules(Asking):
    """What holds after each step."""

    def __init__(self, service: Service, counts: Counts) -> None:
        super().__init__(service, counts)
        self.revisions: Revisions = {}

    @invariant()
    def table_is_sound_and_the_models(self) -> None:
        self.counts.steps += 1
        items = self.service.items()
        wrong = violations(items)
        assert not wrong, wrong[0]
        stored, modelled = _stored(items), _modelled(self.model)
        for kind in _KINDS:
            assert stored[kind] == modelled[kind]
        self._compare_revisions(items)

    def _compare_revisions(self, items: Mapping[Key, Item]) -> None:
        """Compare which enrollments were changed with those whose revisions have grown."""
        before, self.revisions = self.revisions, _revisions(items)
        changed = {key for key, revision in self.revisions.items() if revision > before.get(key, 0)}
        lower = {key for key, revision in self.revisions.items() if revision < before.get(key, 0)}
        identities = {one.id for one in self.model.identities}
        there = {key for key in self.model.changed_enrollments if key[0] in identities}
        self.model.changed_enrollments.clear()
        assert changed == there, f"{changed} have a higher revision, and {there} were changed"
        assert not lower, f"{lower} have a lower revision"
        gone = {key for key in before.keys() - self.revisions.keys() if key[0] in identities}
        assert not gone, f"{gone} are gone before their user identities"


def _stored(items: Mapping[Key, Item]) -> dict[str, Records]:
    """Return the table's records of each kind as the model has them."""
    found: dict[str, Records] = {kind: {} for kind in _KINDS}
    for key, item in items.items():
        beginning, separator, _ = key.sk.partition("#")
        if known := _KINDS.get(beginning + separator):
            id_name, names = known
            attributes = (elements(item.get(name)) if name in _SETS else item.get(name) for name in names)
            record = (item["workspace_id"], item["created_at"], *attributes)
            found[beginning + separator][str(item[id_name])] = record
    return found


def _modelled(model: State) -> dict[str, Records]:
    """Return the model's records of each kind, with the attributes that are compared."""

    def records(found: list[tuple[Any, tuple[Any, ...]]]) -> Records:
        return {one.id: (one.workspace, one.created_at, *others) for one, others in found}

    return {
        "ENROLLMENT_AUTOMATION#": records([(one, (one.identity.id, one.system.id)) for one in model.automations]),
        "USER_IDENTITY": records(
            [
                (
                    one,
                    (one.key, one.email, one.phone, one.name, sorted(user.id for user in model.acs_users_of(one))),
                )
                for one in model.identities
            ]
        ),
        "ACS_USER": records(
            [
                (
                    one,
                    (
                        *(one.system.id, one.name, one.email, one.phone, one.identity and one.identity.id),
                        *((one.schedule or {}).get(name) for name in ("starts_at", "ends_at")),
                        sorted(credential.id for credential in model.credentials if credential.acs_user is one),
                    ),
                )
                for one in model.acs_users
            ]
        ),
        "ACS_SYSTEM": records([(one, (one.name, one.is_manager)) for one in model.systems]),
        "ACS_CREDENTIAL_POOL": records([(one, (one.system.id, one.name)) for one in model.pools]),
        "CLIENT_SESSION": records(
            [(one, (one.key, ",".join(sorted(one.identities)), one.expires_at)) for one in model.sessions]
        ),
        "PHONE#": records([(one, (one.identity.id, one.installation)) for one in model.phones]),
        "CREDENTIAL#": records(
            [
                (one, (one.acs_user.id, one.identity.id, one.manager.id, one.starts_at, one.ends_at))
                for one in model.credentials
            ]
        ),
    }


def _revisions(items: Mapping[Key, Item]) -> Revisions:
    found = (item for key, item in items.items() if key.sk.startswith("ENROLLMENT#"))
    return {
        (str(one["user_identity_id"]), str(one["credential_manager_acs_system_id"])): int(str(one["revision"]))
        for one in found
    }
