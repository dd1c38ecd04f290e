"""The environment of a function, read in this one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``template.yaml`` tells a function.

    Attributes:
        table_name: The one DynamoDB table.
    """

    table_name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing, so the function cannot work: its start fails.
        """
        return cls(table_name=environment["TABLE_NAME"])
