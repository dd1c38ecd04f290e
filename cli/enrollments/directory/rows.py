"""Validates the rows of a directory file.

A property that a row does not name keeps its value.  A null or empty property loses its value (RFC 7396).  A row never
changes the user identity that an ACS user is linked to.  It changes a record's creation time only if it names one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from enrollment.resources.acs_systems import AcsCredentialPool, AcsSystem
from enrollment.resources.acs_users import AcsUser
from enrollment.resources.fields import (
    LONGEST_TEXT,
    MOST_IDS,
    Moment,
    NullableEmailAddress,
    NullablePhoneNumber,
    NullableText,
    Text,
    Uuid,
)
from enrollment.resources.zod import json_type, zod_message
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_credential_pool, stored_acs_system, stored_acs_user
from enrollment.store.keys import Key, acs_credential_pool_key, acs_system_key, acs_user_key
from enrollment.timestamps import timestamp
from enrollments.directory.names import folded, nearest, trim

# A field, or ``None`` for the whole row, and the reason why it is wrong.
type Problem = tuple[str | None, str]

# The values in the published schema.
type SystemType = Literal[
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

# Texts that keep the blanks around them.  All other values lose them.
NAMES = frozenset({"name", "display_name", "full_name", "external_type_display_name", "image_alt_text", "customer_key"})
# Properties that can hold any characters.
TEXTS = NAMES | {"email_address", "phone_number", "pool", "image_url", "location.time_zone"}

# `available_timezones` finds these on some machines, but they are not names of places.
_NO_TIME_ZONES = frozenset({"localtime", "Factory"})

_NO_START: Problem = ("access_schedule.starts_at", "Required with access_schedule.ends_at")
# The most unused names to report of a row, which can have any number.
_MOST_UNUSED = 100
# Hints that follow the API's message for the same mistake, by pydantic's type of error.
_HINTS = {
    "datetime": ": write it as 2026-01-31T12:00:00Z",
    "bool_type": ": write true or false",
}
_LOST_PLUS = (
    "Invalid phone number: its + is missing. Spreadsheets drop it: "
    "format the column as text and enter the number again, for example +15550100000"
)


def _trimmed(value: Any) -> Any:
    return trim(value) if isinstance(value, str) else value


def _needed(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("needed", "Required: it cannot be removed")
    return value


def _with_plus(value: Any) -> Any:
    text = trim(value) if isinstance(value, str) else value
    is_number = isinstance(text, int | float) and not isinstance(text, bool)
    if is_number or (isinstance(text, str) and "+" not in text[:1] and any(map(str.isdecimal, text))):
        raise PydanticCustomError("lost_plus", _LOST_PLUS)
    return text


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_TIME_ZONES)


def known_time_zone(value: str | None) -> str | None:
    """Return the name of a time zone.

    Raises:
        PydanticCustomError: It is no IANA name.
    """
    if value is None or value in _time_zones():
        return value
    by_folded = {folded(zone): zone for zone in sorted(_time_zones())}
    like = by_folded.get(folded(value))
    raise PydanticCustomError(
        "time_zone",
        "Invalid time zone: expected an IANA name, in English, such as Europe/Vienna or America/New_York{hint}",
        {"hint": f"; did you mean {like}?" if like else ""},
    )


def _as_stored(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


_TRIMMED = BeforeValidator(_trimmed)
_NEEDED = BeforeValidator(_needed)

_Id = Annotated[Uuid, _TRIMMED, _NEEDED]
_OptionalId = Annotated[Uuid | None, _TRIMMED]
_NeededText = Annotated[Text, _NEEDED]
_OptionalMoment = Annotated[Moment | None, _TRIMMED, AfterValidator(_as_stored)]
# The API writes an empty text for an absent image.
_ImageText = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] | None


class _Properties(BaseModel):
    """A row's properties.  Defaults are not used: only the names in ``model_fields_set`` were in the row."""

    # An alias with a dot means an inner property of an outer one.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _System(_Properties):
    acs_system_id: _Id
    name: _NeededText = ""
    is_credential_manager: Annotated[StrictBool, _NEEDED] = False
    connected_account_id: _Id = ""
    time_zone: Annotated[NullableText, _TRIMMED, AfterValidator(known_time_zone), Field(alias="location.time_zone")] = (
        None
    )
    external_type: Annotated[SystemType | None, _TRIMMED] = None
    external_type_display_name: NullableText = None
    image_url: Annotated[_ImageText, _TRIMMED] = None
    image_alt_text: _ImageText = None
    default_credential_manager_acs_system_id: _OptionalId = None
    compatible_credential_manager_acs_system_ids: Annotated[
        list[Annotated[Uuid, _TRIMMED]] | None, Field(max_length=MOST_IDS)
    ] = None
    customer_key: NullableText = None
    created_at: _OptionalMoment = None


class _Pool(_Properties):
    acs_credential_pool_id: _Id
    acs_system_id: _Id = ""
    display_name: _NeededText = ""
    pool: Annotated[NullableText, _TRIMMED] = None  # the credential manager's name of it
    external_type: Annotated[Literal["hid_part_number"] | None, _TRIMMED] = None
    external_type_display_name: NullableText = None
    created_at: _OptionalMoment = None


class _User(_Properties):
    acs_user_id: _Id
    acs_system_id: _Id = ""
    full_name: NullableText = None
    email_address: Annotated[NullableEmailAddress, _TRIMMED] = None
    phone_number: Annotated[NullablePhoneNumber, BeforeValidator(_with_plus)] = None
    access_starts_at: Annotated[_OptionalMoment, Field(alias="access_schedule.starts_at")] = None
    access_ends_at: Annotated[_OptionalMoment, Field(alias="access_schedule.ends_at")] = None
    created_at: _OptionalMoment = None


@dataclass(frozen=True)
class Kind:
    """A kind of record.

    Attributes:
        name: The kind's value of a row's property ``type``.
        id_name: The property with the record's id.
        model: Validates a row's properties.
        key: Returns a record's key for a workspace and an id.
        stored: Returns a record's items: first its own, then its entries.
        resource: The API's resource.
        only_at_seam: Properties of Seam's own resource that the API here does not have.
        defaults: Values of attributes that were not given or were removed.
        older_names: Current names of properties, by their older names.
    """

    name: str
    id_name: str
    model: type[_Properties]
    key: Callable[[str, str], Key]
    stored: Callable[[Item], dict[Key, Item]]
    resource: type[BaseModel]
    only_at_seam: frozenset[str] = frozenset()
    defaults: Item = field(default_factory=dict)
    older_names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The attributes of a record's item that an import sets."""
        return frozenset(self.model.model_fields)

    @cached_property
    def needed(self) -> Sequence[str]:
        """The attributes that every record needs, except its creation time, which has a default."""
        return [name for name, known in self.model.model_fields.items() if _NEEDED in known.metadata]

    @cached_property
    def columns(self) -> Sequence[str]:
        """The properties that an import sets.  A dot separates an outer property and an inner one."""
        return [known.alias or name for name, known in self.model.model_fields.items()]

    @cached_property
    def imported(self) -> Mapping[str, str]:
        """The properties that an import sets, by their folded names and older names."""
        return {folded(name): name for name in self.columns} | {
            folded(older): name for older, name in self.older_names.items()
        }

    @cached_property
    def outer(self) -> Mapping[str, str]:
        """Properties that contain other properties, by their folded names."""
        return {folded(outer): outer for outer, dot, _ in (name.partition(".") for name in self.columns) if dot}

    @cached_property
    def ignored(self) -> frozenset[str]:
        """The folded names of properties that the API or Seam writes and an import ignores."""
        return frozenset(map(folded, {"type", *self.resource.model_fields, *self.only_at_seam})) - self.imported.keys()


SYSTEM = Kind(
    name="acs_system",
    id_name="acs_system_id",
    model=_System,
    key=acs_system_key,
    stored=stored_acs_system,
    resource=AcsSystem,
    only_at_seam=frozenset({"acs_access_group_count", "acs_user_count", "visionline_metadata"}),
    older_names={"system_type": "external_type", "system_type_display_name": "external_type_display_name"},
)
POOL = Kind(
    name="acs_credential_pool",
    id_name="acs_credential_pool_id",
    model=_Pool,
    key=acs_credential_pool_key,
    stored=stored_acs_credential_pool,
    resource=AcsCredentialPool,
    defaults={"external_type": "hid_part_number", "external_type_display_name": "HID part number"},
)
USER = Kind(
    name="acs_user",
    id_name="acs_user_id",
    model=_User,
    key=acs_user_key,
    stored=stored_acs_user,
    resource=AcsUser,
    only_at_seam=frozenset(
        {
            "acs_access_group_ids",
            "external_type",
            "external_type_display_name",
            "hid_acs_system_id",
            "is_suspended",
            "pending_mutations",
            "salto_ks_metadata",
            "salto_space_metadata",
        }
    ),
    older_names={"email": "email_address"},
)
# Parents first, which is the order of an export.
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (SYSTEM, POOL, USER)}
ID_NAMES = tuple(kind.id_name for kind in KINDS.values())
# The properties of all kinds, by folded names.  A property has the same name in each kind.
IMPORTED: Mapping[str, str] = {
    "type": "type",
    **{name: known for kind in KINDS.values() for name, known in kind.imported.items()},
}
IGNORED = frozenset(name for kind in KINDS.values() for name in kind.ignored) - IMPORTED.keys()


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row that could be read, but is not validated yet.

    Attributes:
        line: Its first line, from 1.
        end: The number of bytes from the file's beginning to the row's end.
        properties: Its properties as JSON.
    """

    line: int
    end: int
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is valid by itself.

    Attributes:
        line: Its first line, from 1.
        end: The number of bytes from the file's beginning to the row's end.
        kind: The kind of its record.
        attributes: The attributes that it sets.
        removed: The attributes that it removes.
        unused: Its names that an import does not use, as they are in the file.
    """

    line: int
    end: int
    kind: Kind
    attributes: Item
    removed: frozenset[str] = frozenset()
    unused: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.attributes[self.kind.id_name])

    @property
    def acs_system_id(self) -> str | None:
        """The id of the system that the record is, or is in; ``None`` if the row does not name it."""
        system_id = self.attributes.get("acs_system_id")
        return None if system_id is None else str(system_id)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be imported.

    Attributes:
        line: Its first line, from 1.
        end: The number of bytes from the file's beginning to the row's end.
        problems: The reasons, at least one.
    """

    line: int
    end: int
    problems: Sequence[Problem]


class _UnknownKind(Exception):
    """A row does not show the kind of its record."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.problem: Problem = (field_name, reason)


def read_row(raw: RawRow | BadRow) -> Row | BadRow:
    """Validate a row by itself.  A row that is bad already stays the same."""
    if isinstance(raw, BadRow):
        return raw
    try:
        kind = _kind(raw.properties)
    except _UnknownKind as unknown:
        return BadRow(raw.line, raw.end, [unknown.problem])
    values, unused, problems = _read_properties(kind, raw.properties)
    problems = problems or _problems_of_kind(kind, raw.properties, unused)
    try:
        properties = kind.model.model_validate(values)
    except ValidationError as invalid:
        problems = [*problems, *map(_problem, invalid.errors())]
    if problems:
        return BadRow(raw.line, raw.end, problems)
    given = {name: _stored(getattr(properties, name)) for name in properties.model_fields_set}
    # An empty text or set removes an attribute; False is a value.
    attributes = {name: value for name, value in given.items() if value is False or value}
    # Every record keeps its creation time.
    removed = given.keys() - attributes.keys() - {"created_at"}
    if "access_starts_at" in removed:
        if "access_ends_at" in attributes:
            return BadRow(raw.line, raw.end, [_NO_START])
        removed |= {"access_ends_at"}
    return Row(raw.line, raw.end, kind, attributes, frozenset(removed), unused)


def problems_of_record(kind: Kind, wanted: Item, existing: Item | None) -> Sequence[Problem]:
    """Return the problems of a record as it would be after the import.

    Args:
        kind: Its kind.
        wanted: Its attributes after the import.
        existing: Its attributes now; ``None`` if there is no record yet.
    """
    missing = [(name, "Required") for name in kind.needed if name not in wanted]
    starts_at, ends_at = wanted.get("access_starts_at"), wanted.get("access_ends_at")
    has_schedule = existing is not None and (starts_at, ends_at) == (
        existing.get("access_starts_at"),
        existing.get("access_ends_at"),
    )
    if ends_at is None or has_schedule:
        return missing
    if starts_at is None:
        return [*missing, _NO_START]
    # Both are stored texts with milliseconds, which sort by time.
    if str(ends_at) <= str(starts_at):
        return [*missing, ("access_schedule", "ends_at must be after starts_at, by a millisecond at least")]
    return missing


def nearest_property(name: str, kind: Kind | None = None) -> str | None:
    """Return the property with the most similar name, of one kind or of all kinds."""
    return nearest(name, IMPORTED if kind is None else kind.imported)


def _kind(properties: Mapping[str, Any]) -> Kind:
    """Return the kind of a row's record.

    Raises:
        _UnknownKind: The row has an unknown type, or no id.
    """
    values = {folded(name): value for name, value in properties.items()}
    named = values.get("type")
    if named is not None:
        kind = KINDS.get(trim(named)) if isinstance(named, str) else None
        if kind is None:
            raise _UnknownKind("type", f"Invalid enum value. Expected {' or '.join(map(repr, KINDS))}")
        return kind
    for kind in (POOL, USER, SYSTEM):  # the system last, because the others name their system, too
        if values.get(folded(kind.id_name)) is not None:
            return kind
    raise _UnknownKind(SYSTEM.id_name, f"Required, unless the row has {POOL.id_name} or {USER.id_name}")


def _read_properties(kind: Kind, properties: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """Return a row's values by their current names, its unused names, and its problems."""
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    unused: list[str] = []
    problems: list[Problem] = []
    for name, value in _flat(kind, properties):
        key = folded(name)
        known = kind.imported.get(key)
        if known is not None:
            # Seam writes some properties under an older name, too.
            if known in values and values[known] != value:
                problems.append((known, f"Given twice: as {written[known]} and as {name}"))
            values[known], written[known] = value, name
        elif key in kind.outer:
            problems.append((kind.outer[key], f"Expected object, received {json_type(value)}"))
        elif key not in kind.ignored and not (value is None and key in IMPORTED) and len(unused) < _MOST_UNUSED:
            unused.append(name)
    return values, unused, problems


def _flat(kind: Kind, properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield properties, with a dot between outer and inner ones.  If the outer one is null, the inner ones are."""
    for name, value in properties.items():
        outer = kind.outer.get(folded(name))
        if outer is not None and value is None:
            yield from ((column, None) for column in kind.columns if column.startswith(f"{outer}."))
        elif outer is not None and isinstance(value, dict):
            yield from ((f"{name}.{inner}", inner_value) for inner, inner_value in value.items())
        else:
            yield name, value


def _problems_of_kind(kind: Kind, properties: Mapping[str, Any], unused: Sequence[str]) -> list[Problem]:
    """Find a pool or an ACS user whose own id is missing.  It looks like a system with properties of other kinds."""
    if kind is not SYSTEM or properties.get("type") is not None:
        return []
    for name in unused:
        for other in (USER, POOL):
            if known := other.imported.get(folded(name)):
                return [(other.id_name, f"Required with {known}")]
    return []


def _problem(error: Mapping[str, Any]) -> Problem:
    reason = zod_message(error) + _HINTS.get(error["type"], "")
    return ".".join(map(str, error["loc"])) or None, reason


def _stored(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list) else value
