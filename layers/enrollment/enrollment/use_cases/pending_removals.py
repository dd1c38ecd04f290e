"""What credential managers still have of people who are deleted, or are being deleted.

The enrollment of such a person stays until its manager has given everything back.  Nobody else knows of it: so whoever
moves a workspace, or leaves its phones where they are, asks here first.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import batched

from enrollment.store.keys import user_identity_key, workspace_prefix
from enrollment.store.table import Table
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.links import is_usable

_AT_ONCE = 1000


def pending_removals(table: Table, workspace_id: str) -> Mapping[str, int]:
    """Return how many people who are gone still have something at which credential manager.

    It reads the whole table, so only an operator's command may use it.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    items = table.scan(f"{workspace_prefix(workspace_id)}USER_IDENTITY#")
    enrollments = (EnrollmentId.from_json(item) for item in items if str(item["sk"]).startswith("ENROLLMENT#"))
    gone: Counter[str] = Counter()
    for some in batched(enrollments, _AT_ONCE, strict=False):
        keys = {one: user_identity_key(workspace_id, one.user_identity_id) for one in some}
        people = table.get_all(set(keys.values()))
        gone.update(one.manager_id for one, key in keys.items() if key not in people or not is_usable(people[key]))
    return gone
