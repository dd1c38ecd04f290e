"""User identities by the thousand, some of which come and go while others are counted."""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from enrollment.callers import TokenKind
from enrollment.store.items import stored_user_identity
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import NewToken, create_token
from tests.acceptance.conftest import Service, serve_stack
from tests.fixtures import PROJECT, Workspace, put_all

if TYPE_CHECKING:
    from enrollment.store.attributes import Item
    from enrollment.store.keys import Key


@dataclass(frozen=True)
class Crowd:
    """User identities in a workspace of their own, some of which come and go.

    Attributes:
        demo: The service that they are in, with its demo workspaces.
        service: The same, with theirs.
        ids: Those that stay.
        passing: Others, the next to go first.
    """

    demo: Service
    service: Service
    ids: list[str]
    passing: deque[str]

    @contextmanager
    def coming_and_going(self) -> Iterator[Counter[str]]:
        """Create and delete others until the context ends, and count both."""
        done: Counter[str] = Counter()
        ended = threading.Event()

        def come_and_go() -> None:
            while not ended.is_set():
                created = self._post("/user_identities/create", {})["user_identity"]
                self._post("/user_identities/delete", {"user_identity_id": self.passing.popleft()})
                self.passing.append(created["user_identity_id"])
                done["created"] += 1
                done["deleted"] += 1

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            yield done
        finally:
            ended.set()
            thread.join()

    def _post(self, route: str, body: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self.service.post(route, body).raise_for_status().json()
        return answer


@contextmanager
def crowd(number: int) -> Iterator[Crowd]:
    """Serve as many user identities in a workspace of their own, and stop when the context ends."""
    with serve_stack(PROJECT) as demo:
        # All stacks in memory that are open at once have one table.
        workspace = Workspace(demo.workspace.table, str(uuid4()))
        key = create_token(workspace.table, NewToken(TokenKind.API_KEY, [workspace.workspace_id]))
        own = {"SEAM_API_KEY": key, "SEAM_WORKSPACE_ID": workspace.workspace_id}
        service = replace(demo, variables={**demo.variables, **own}, workspace=workspace)
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        items: dict[Key, Item] = {}
        ids = [str(uuid4()) for _ in range(number)]
        for index, identity_id in enumerate(ids):
            # Several have each moment of creation.
            created_at = timestamp(begin + timedelta(milliseconds=index // 3))
            identity = {"user_identity_id": identity_id, "workspace_id": service["SEAM_WORKSPACE_ID"]}
            items |= stored_user_identity({**identity, "created_at": created_at, "full_name": f"Person {index}"})
        put_all(service.workspace.table, items)
        # One in fifty, evenly among the others.
        passing = deque(ids[::50])
        yield Crowd(demo, service, [identity_id for identity_id in ids if identity_id not in set(passing)], passing)


def occurrences(records: list[dict[str, Any]], ids: list[str]) -> tuple[set[int], int]:
    """Return how often those that stayed occur, and how often one occurs at most."""
    found = Counter(record["user_identity_id"] for record in records)
    return {found[identity_id] for identity_id in ids}, max(found.values())
