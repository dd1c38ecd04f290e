"""Rows of a directory file: resources as the API writes them, and the items that they become.

A row says all there is about a record: what it leaves out is gone after an import.  It decides neither on the user
identity that an ACS user is linked to, nor, if it says nothing about that, on when a record was created.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, override

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from enrollment.directory_model import (
    LONGEST_TEXT,
    MOST_IDS,
    Moment,
    NullableEmailAddress,
    NullableMoment,
    NullablePhoneNumber,
    NullableText,
    Text,
)
from enrollment.items import stored_acs_credential_pool, stored_acs_system, stored_acs_user
from enrollment.model import Uuid
from enrollment.table import Item, Key, Value, acs_credential_pool_key, acs_system_key, acs_user_key
from enrollment.timestamps import timestamp
from enrollment.wording import in_zods_words

# A field, ``None`` for the row as a whole, and what is the matter with it.
type Problem = tuple[str | None, str]

# The published schema's.
type _SystemType = Literal[
    "pti_site",
    "avigilon_alta_org",
    "salto_ks_site",
    "salto_space_system",
    "brivo_account",
    "hid_credential_manager_organization",
    "visionline_system",
    "assa_abloy_credential_service",
    "latch_building",
    "dormakaba_community_site",
    "dormakaba_ambiance_site",
    "legic_connect_credential_service",
    "assa_abloy_vostio",
    "assa_abloy_vostio_credential_service",
    "hotek_site",
    "kisi_organization",
    "akiles_organization",
]

# The API writes an absent image as an empty text.
type _Image = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] | None


class _Properties(BaseModel):
    """What a row says; properties that an import does not decide on are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    created_at: NullableMoment = None

    def attributes(self) -> dict[str, Value | None]:
        """Return the attributes of its item; ``None`` and what is empty are absent there."""
        return self.model_dump(exclude={"created_at"})


class _Location(BaseModel):
    time_zone: NullableText = None


class _System(_Properties):
    acs_system_id: Uuid
    name: Text
    is_credential_manager: StrictBool
    connected_account_id: Uuid
    location: _Location | None = None
    external_type: _SystemType | None = None
    external_type_display_name: NullableText = None
    image_url: _Image = None
    image_alt_text: _Image = None
    default_credential_manager_acs_system_id: Uuid | None = None
    compatible_credential_manager_acs_system_ids: Annotated[list[Uuid], Field(max_length=MOST_IDS)] | None = None
    customer_key: NullableText = None

    @override
    def attributes(self) -> dict[str, Value | None]:
        compatible = frozenset(self.compatible_credential_manager_acs_system_ids or ())
        return {
            **self.model_dump(exclude={"created_at", "location"}),
            "compatible_credential_manager_acs_system_ids": compatible,
            "time_zone": self.location and self.location.time_zone,
        }


class _Pool(_Properties):
    acs_credential_pool_id: Uuid
    acs_system_id: Uuid
    display_name: Text
    external_type: Literal["hid_part_number"] | None = None
    external_type_display_name: NullableText = None

    @override
    def attributes(self) -> dict[str, Value | None]:
        return {
            **super().attributes(),
            "external_type": "hid_part_number",
            "external_type_display_name": self.external_type_display_name or "HID part number",
        }


class _AccessSchedule(BaseModel):
    starts_at: Moment
    ends_at: NullableMoment = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise PydanticCustomError("ends_at", "ends_at must be after starts_at")
        return self


class _User(_Properties):
    acs_user_id: Uuid
    acs_system_id: Uuid
    full_name: NullableText = None
    email_address: NullableEmailAddress = None
    phone_number: NullablePhoneNumber = None
    access_schedule: _AccessSchedule | None = None

    @override
    def attributes(self) -> dict[str, Value | None]:
        schedule = self.access_schedule
        return {
            **self.model_dump(exclude={"created_at", "access_schedule"}),
            "access_starts_at": schedule and timestamp(schedule.starts_at),
            "access_ends_at": schedule and schedule.ends_at and timestamp(schedule.ends_at),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record.

    Attributes:
        name: What the property ``type`` of a row says.
        id_name: The property that identifies it.
        model: Validates a row.
        key: Takes a workspace and an id.
        stored: Returns its items, itself first.
        attributes: Those that an import decides on.
        columns: The properties of a row in CSV.
    """

    name: str
    id_name: str
    model: type[_Properties]
    key: Callable[[str, str], Key]
    stored: Callable[[Item], dict[Key, Item]]
    attributes: frozenset[str]
    columns: tuple[str, ...]


SYSTEM = Kind(
    name="acs_system",
    id_name="acs_system_id",
    model=_System,
    key=acs_system_key,
    stored=stored_acs_system,
    attributes=frozenset(_System.model_fields) - {"location"} | {"time_zone"},
    columns=(
        "acs_system_id",
        "name",
        "is_credential_manager",
        "connected_account_id",
        "location.time_zone",
        "external_type",
        "external_type_display_name",
        "image_url",
        "image_alt_text",
        "default_credential_manager_acs_system_id",
        "compatible_credential_manager_acs_system_ids",
        "customer_key",
        "created_at",
    ),
)
POOL = Kind(
    name="acs_credential_pool",
    id_name="acs_credential_pool_id",
    model=_Pool,
    key=acs_credential_pool_key,
    stored=stored_acs_credential_pool,
    attributes=frozenset(_Pool.model_fields),
    columns=(
        "acs_credential_pool_id",
        "acs_system_id",
        "display_name",
        "external_type",
        "external_type_display_name",
        "created_at",
    ),
)
USER = Kind(
    name="acs_user",
    id_name="acs_user_id",
    model=_User,
    key=acs_user_key,
    stored=stored_acs_user,
    attributes=frozenset(_User.model_fields) - {"access_schedule"} | {"access_starts_at", "access_ends_at"},
    columns=(
        "acs_user_id",
        "acs_system_id",
        "full_name",
        "email_address",
        "phone_number",
        "access_schedule.starts_at",
        "access_schedule.ends_at",
        "created_at",
    ),
)
# Parents first: the order of an export.
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (SYSTEM, POOL, USER)}
ID_NAMES = tuple(kind.id_name for kind in KINDS.values())


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file.

    Attributes:
        line: Its first line, from 1.
        end: How many bytes of the file it ends after.
        properties: What it says, as JSON; or else what is the matter with it.
    """

    line: int
    end: int
    properties: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is right by itself.

    Attributes:
        line: Its first line, from 1.
        end: How many bytes of the file it ends after.
        kind: What it is about.
        attributes: Those of the item, without workspace and creation.
        created_at: When the record was created, if the row says so.
    """

    line: int
    end: int
    kind: Kind
    attributes: Item
    created_at: str | None

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.attributes[self.kind.id_name])

    @property
    def acs_system_id(self) -> str:
        """The system that it is, or is in."""
        return str(self.attributes["acs_system_id"])


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be imported.

    Attributes:
        line: Its first line, from 1.
        end: How many bytes of the file it ends after.
        problems: Why, at least one.
    """

    line: int
    end: int
    problems: Sequence[Problem]


def read_row(raw: RawRow) -> Row | BadRow:
    """Validate a row by itself."""
    if isinstance(raw.properties, str):
        return BadRow(raw.line, raw.end, [(None, raw.properties)])
    kind = _kind(raw.properties)
    if not isinstance(kind, Kind):
        return BadRow(raw.line, raw.end, [kind])
    try:
        properties = kind.model.model_validate(raw.properties)
    except ValidationError as invalid:
        problems = [(".".join(map(str, error["loc"])) or None, in_zods_words(error)) for error in invalid.errors()]
        return BadRow(raw.line, raw.end, problems)
    # False is a value, an empty text or set is none.
    attributes = {name: value for name, value in properties.attributes().items() if value is False or value}
    created_at = None if properties.created_at is None else timestamp(properties.created_at)
    return Row(raw.line, raw.end, kind, attributes, created_at)


def _kind(properties: Mapping[str, Any]) -> Kind | Problem:
    named = properties.get("type")
    if named is not None:
        kind = KINDS.get(named) if isinstance(named, str) else None
        return kind or ("type", f"Invalid enum value. Expected {' or '.join(map(repr, KINDS))}")
    for kind in (POOL, USER, SYSTEM):  # the first two name their system too
        if properties.get(kind.id_name) is not None:
            return kind
    return SYSTEM.id_name, f"Required, or else {POOL.id_name} or {USER.id_name}"


# ------------------------------------------------------------------------------------------------------------------ CSV


def _boolean_of_cell(cell: str) -> str | bool:
    return {"true": True, "false": False}.get(cell.lower(), cell)


def _ids_of_cell(cell: str) -> list[str]:
    return [identifier for identifier in re.split(r"[\s;]+", cell) if identifier]


_OTHER_THAN_TEXT: Mapping[str, Callable[[str], Any]] = {
    "is_credential_manager": _boolean_of_cell,
    "compatible_credential_manager_acs_system_ids": _ids_of_cell,
}
COLUMNS = frozenset(column for kind in KINDS.values() for column in kind.columns) | {"type"}


def properties_of_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of CSV as JSON: an empty cell is an absent property.

    Args:
        cells: By column, of ``COLUMNS``.
    """
    properties: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        outer, _, inner = column.partition(".")
        if inner:
            properties.setdefault(outer, {})[inner] = cell
        else:
            properties[column] = _OTHER_THAN_TEXT.get(column, str)(cell)
    return properties


def cell_of(resource: Mapping[str, Any], column: str) -> str:
    """Return a property of a resource as a cell of CSV."""
    value: Any = resource
    for name in column.split("."):
        value = None if value is None else value.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)
