"""Moments, as the API and the table write them."""

from datetime import UTC, datetime


def timestamp(moment: datetime) -> str:
    """Return a moment as the API writes it: ``2024-01-09T05:45:33.068Z``.

    Args:
        moment: Any aware datetime.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
