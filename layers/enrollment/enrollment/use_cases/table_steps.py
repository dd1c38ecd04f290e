"""The steps of an execution that only change the table, each with the condition that it is still right."""

from enrollment.store.actions import Action, as_read, change, delete, require, require_absent
from enrollment.store.attributes import Item, elements
from enrollment.store.items import ENTRIES_OF_ACS_CREDENTIAL_COME_FROM, stored_acs_credential
from enrollment.store.keys import (
    acs_credential_key,
    automation_key,
    phone_key,
    registration_key,
    user_identity_key,
)
from enrollment.store.table import Table
from enrollment.use_cases.convergence import (
    DeleteCredential,
    DeleteEnrollment,
    DeleteRegistration,
    Mark,
    TableStep,
    UpdateParent,
    source_of,
)
from enrollment.use_cases.credential_items import mark_for_revocation
from enrollment.use_cases.enrollments import View


def take_table_step(table: Table, view: View, step: TableStep) -> bool:
    """Take a step.  Return whether what it was based on was still so.

    Args:
        table: The table.
        view: The enrollment.
        step: The step, from ``next_step``.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if isinstance(step, Mark):
        children = [view.children[one] for one in step.acs_credential_ids]
        return not mark_for_revocation(table, children, _guards_of_mark(view, step))
    return not table.transact(_actions(view, step))


def _actions(
    view: View, step: DeleteCredential | DeleteRegistration | UpdateParent | DeleteEnrollment
) -> dict[str, Action]:
    workspace_id, identity_id, manager_id = view.id
    match step:
        case DeleteCredential(credential_id):
            return _delete_credential(view, view.children[credential_id])
        case DeleteRegistration(device_id):
            registration = view.registrations[device_id]
            where = as_read(registration, ["acs_credential_ids", "state", "deregistered_at"])
            return {
                "registration": delete(registration_key(workspace_id, identity_id, device_id, manager_id), where),
                "phone": require_absent(phone_key(workspace_id, identity_id, device_id)),
            }
        case UpdateParent(credential_id, issued_at, synced_version, synced_at):
            parent = view.parents[credential_id]
            synced: Item = {} if synced_version is None else {"synced_version": synced_version, "synced_at": synced_at}
            return {
                "credential": change(
                    acs_credential_key(workspace_id, identity_id, credential_id),
                    assign={"issued_at": parent.get("issued_at", issued_at), **synced},
                    where=as_read(parent, ["version", "issued_at", "synced_version"]),
                )
            }
        case DeleteEnrollment():
            return {
                "enrollment": delete(view.id.key, as_read(view.enrollment or {}, ["revision"])),
                "execution": delete(view.id.execution_key, as_read(view.execution, ["executor"])),
                "user_identity": require_absent(user_identity_key(workspace_id, identity_id)),
            }


def _delete_credential(view: View, child: Item) -> dict[str, Action]:
    credential_id = str(child["acs_credential_id"])
    registration = view.registrations[str(child["device_id"])]
    (itself, *entries) = stored_acs_credential(child)
    where = as_read(child, [*ENTRIES_OF_ACS_CREDENTIAL_COME_FROM, "state", "being_deleted_at"])
    failed = frozenset(elements(registration.get("failed_acs_credential_ids"))) - {credential_id}
    withdrawn = {"withdrawn_sources": frozenset({source_of(child)})} if "is_withdrawn" in child else {}
    return {
        "credential": delete(itself, where),
        **{f"entry {index}": delete(entry) for index, entry in enumerate(entries)},
        "registration": change(
            registration_key(*view.id[:2], str(child["device_id"]), view.id.manager_id),
            # The next credential of this phone gets another id.
            assign={
                "removals": int(str(registration.get("removals", 0))) + 1,
                **({"failed_acs_credential_ids": failed} if failed else {}),
            },
            remove=[] if failed else ["failed_acs_credential_ids"],
            add=withdrawn,
            discard={"acs_credential_ids": frozenset({credential_id})},
            where=as_read(registration, ["removals", "failed_acs_credential_ids"]),
        ),
    }


def _guards_of_mark(view: View, mark: Mark) -> dict[str, Action]:
    workspace_id, identity_id, manager_id = view.id
    guards = {}
    if mark.parent_id is not None:
        guards["parent"] = require_absent(acs_credential_key(workspace_id, identity_id, mark.parent_id))
    if mark.invalid_parent_id is not None:
        parent = view.parents[mark.invalid_parent_id]
        key = acs_credential_key(workspace_id, identity_id, mark.invalid_parent_id)
        guards["parent"] = require(key, as_read(parent, ["starts_at", "ends_at"]))
    if mark.device_id is not None:
        guards["phone"] = require_absent(phone_key(workspace_id, identity_id, mark.device_id))
    if mark.is_without_automation:
        guards["automation"] = require_absent(automation_key(workspace_id, identity_id, manager_id))
    return guards
