"""What several use cases know of a webhook's item."""

from enrollment.store.attributes import Item

# What a webhook has only while its deliveries fail.
OF_FAILURE = ("failing_since", "breaker_opened_at", "switched_off_at")


def wants(webhook: Item, event_type: str) -> bool:
    """Return whether a webhook gets events of a type.  One that is switched off gets none."""
    types = webhook["event_types"]
    return "switched_off_at" not in webhook and isinstance(types, frozenset) and bool(types & {"*", event_type})
