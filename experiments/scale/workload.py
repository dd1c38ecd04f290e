"""The code's own requests for a launch, as a pattern that a simulation can repeat.

Each kind of call is made several times, for another user identity each time.  Of the requests that this takes, what is
the same every time is shared by all such calls; what differs is the call's own.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from enrollment.callers import Caller, TokenKind
from enrollment.resources.automations import LaunchRequest
from enrollment.store.keys import Key, acs_system_key
from enrollment.store.table import Table
from enrollment.use_cases import automations
from enrollment.use_cases.tokens import NewToken, authenticate, create_token
from experiments.scale.capture import Request, Touch, each
from experiments.scale.people import MANAGER_ID, POOL_ID, WORKSPACE_ID, building, made_up_id, person
from tests.fixtures import put_all

# Random sort keys are in order by chance once in 3,628,800 times.
_SAMPLES = 10
# Sort keys begin with a moment in milliseconds.
_PAUSE_SECONDS = 0.002
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type Order = Literal["the same", "random", "rising"]


@dataclass(frozen=True, slots=True)
class Place:
    """The items that calls of one kind touch.

    Attributes:
        touch: As one of them did.
        is_partition_shared: All of them touch the same partition.
        order: How the sort keys of calls follow one another.
    """

    touch: Touch
    is_partition_shared: bool
    order: Order

    @property
    def is_item_shared(self) -> bool:
        """All of them touch the same item."""
        return self.is_partition_shared and self.order == "the same"

    @property
    def partition(self) -> str:
        """The partition's name for people."""
        return _ID.sub("…", self.touch.key.pk)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A request of a kind of call."""

    is_transaction: bool
    places: tuple[Place, ...]

    def units(self, *, is_write: bool) -> float:
        """Return what it costs."""
        return sum(place.touch.units for place in self.places if place.touch.is_write is is_write)


type Kind = tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of a launch and of the decision about its token.

    Attributes:
        authorizer: The decision.
        warm: A launch in a process that knows the credential manager and the pool.
        cold: One in a process that does not.
    """

    authorizer: Kind
    warm: Kind
    cold: Kind

    def with_check_of_credential_manager(self) -> "Workload":
        """Return what it would be if the transaction checked the credential manager, as it must not."""
        touch = Touch(acs_system_key(WORKSPACE_ID, MANAGER_ID), 2, is_write=True)
        check = Place(touch, is_partition_shared=True, order="the same")

        def checked(kind: Kind) -> Kind:
            return tuple(
                replace(pattern, places=(*pattern.places, check)) if pattern.is_transaction else pattern
                for pattern in kind
            )

        return replace(self, warm=checked(self.warm), cold=checked(self.cold))


def captured_workload(table: Table, client: Any, other_client: Any, *, creates_acs_user: bool) -> Workload:
    """Make the calls in an empty table and return their requests.

    Args:
        table: The table.
        client: Its client.
        other_client: Another one of the same server.
        creates_acs_user: The launches are those with ``create_credential_manager_user``.
    """
    put_all(table, building())
    for number in range(2 * _SAMPLES):
        put_all(table, person(number, is_enrolled=False))
    token = create_token(table, NewToken(TokenKind.API_KEY, [WORKSPACE_ID]))
    known = automations.known_items()

    def launch(number: int, known: automations.KnownItems) -> None:
        request = LaunchRequest(
            user_identity_id=made_up_id("user_identity", number),
            credential_manager_acs_system_id=MANAGER_ID,
            acs_credential_pool_id=POOL_ID,
            create_credential_manager_user=creates_acs_user,
        )
        automations.launch(table, known, Caller(WORKSPACE_ID), request)

    sampled = partial(sampled_kind, client=client, other_client=other_client)
    return Workload(
        authorizer=sampled(lambda _: authenticate(table, f"Bearer {token}", datetime.now(UTC))),
        cold=sampled(lambda number: launch(number, known if number == 0 else automations.known_items())),
        warm=sampled(lambda number: launch(_SAMPLES + number, known)),
    )


def sampled_kind(call: Callable[[int], object], client: Any, other_client: Any) -> Kind:
    """Make calls of a kind, and return the requests that they have in common.

    Args:
        call: Makes one; takes its number.
        client: The table's client.
        other_client: Another one of the same server.
    """
    samples = []
    for number in range(_SAMPLES):
        time.sleep(_PAUSE_SECONDS)
        samples.append(each(partial(call, number), client, other_client))
    return _kind(samples)


def _kind(samples: Sequence[Sequence[Request]]) -> Kind:
    return tuple(
        Pattern(
            requests[0].is_transaction,
            tuple(_place(touches) for touches in zip(*(request.touches for request in requests), strict=True)),
        )
        for requests in zip(*samples, strict=True)
    )


def _place(touches: Sequence[Touch]) -> Place:
    assert len({(touch.units, touch.is_write) for touch in touches}) == 1, touches
    return Place(touches[0], len({touch.key.pk for touch in touches}) == 1, _order([touch.key for touch in touches]))


def _order(keys: Sequence[Key]) -> Order:
    sort_keys = [key.sk for key in keys]
    if len(set(sort_keys)) == 1:
        return "the same"
    return "rising" if sort_keys == sorted(sort_keys) else "random"
