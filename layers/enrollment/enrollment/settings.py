"""The environment of a function, read in this one place."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Settings(NamedTuple):
    """What ``template.yaml`` tells a function.

    Attributes:
        table_name: The one DynamoDB table.
        cors_origins: Origins whose pages may call the API.
    """

    table_name: str
    cors_origins: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing, so the function cannot work: its start fails.
        """
        origins = environment.get("CORS_ORIGINS", "").split(",")
        return cls(
            table_name=environment["TABLE_NAME"],
            cors_origins=tuple(origin.strip() for origin in origins if origin.strip()),
        )
