"""What a result does not tell is asked for."""

from collections.abc import Callable, Sequence

from experiments.reliability.model.calls import Json
from experiments.reliability.model.records import Identity


def asking_for_acs_users(identity: Identity, learns: Sequence[Callable[[Json], None] | None]) -> Json:
    """Return an answer's question which ACS users an identity has, for those that learn from it."""
    unknown = [learn for learn in learns if learn is not None]
    if not unknown:
        return {}

    def tell(body: Json) -> None:
        for learn in unknown:
            learn(body)

    return {"ask": lambda: ("/user_identities/list_acs_users", {"user_identity_id": identity.id}), "tell": tell}
