"""Rows of a directory file: what each says about a record, and what it does not.

A property that a row does not name stays as it is; one that is null or empty is removed (RFC 7396).  A row decides
neither on the user identity that an ACS user is linked to, nor, if it says nothing about that, on when a record was
created.
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

# Texts that stay as they are written.  Of all others the blanks around them are no part.
NAMES = frozenset({"name", "display_name", "full_name", "external_type_display_name", "image_alt_text", "customer_key"})
# What can hold any characters.
TEXTS = NAMES | {"email_address", "phone_number", "image_url", "location.time_zone"}

# What `available_timezones` finds on some machines, and what names no place.
_NO_TIME_ZONES = frozenset({"localtime", "Factory"})

_NO_START: Problem = ("access_schedule.starts_at", "Required with access_schedule.ends_at")
# A row can have any number of names.
_MOST_UNUSED = 100
# Behind what the API says of the same mistake.
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


def _time_zone(value: str | None) -> str | None:
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
# The API writes an absent image as an empty text.
_ImageText = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] | None


class _Properties(BaseModel):
    """What a row says.  A default is never used: what a row does not name is not in ``model_fields_set``."""

    # A property within another has a dot in its alias.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _System(_Properties):
    acs_system_id: _Id
    name: _NeededText = ""
    is_credential_manager: Annotated[StrictBool, _NEEDED] = False
    connected_account_id: _Id = ""
    time_zone: Annotated[NullableText, _TRIMMED, AfterValidator(_time_zone), Field(alias="location.time_zone")] = None
    external_type: Annotated[_SystemType | None, _TRIMMED] = None
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
        name: What the property ``type`` of a row says.
        id_name: The property that identifies it.
        model: Validates what a row says.
        key: Takes a workspace and an id.
        stored: Returns its items, itself first.
        resource: What the API answers.
        elsewhere: Properties of Seam's own resource that there are none of here.
        defaults: Attributes of a record that nobody has given, or that are removed.
        older_names: Properties by the names that they had once.
    """

    name: str
    id_name: str
    model: type[_Properties]
    key: Callable[[str, str], Key]
    stored: Callable[[Item], dict[Key, Item]]
    resource: type[BaseModel]
    elsewhere: frozenset[str] = frozenset()
    defaults: Item = field(default_factory=dict)
    older_names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Those of its item that an import decides on."""
        return frozenset(self.model.model_fields)

    @cached_property
    def needed(self) -> Sequence[str]:
        """Those of its attributes that a new record cannot do without, its creation left out."""
        return [name for name, known in self.model.model_fields.items() if _NEEDED in known.metadata]

    @cached_property
    def columns(self) -> Sequence[str]:
        """The properties that an import decides on; one within another has a dot between."""
        return [known.alias or name for name, known in self.model.model_fields.items()]

    @cached_property
    def imported(self) -> Mapping[str, str]:
        """Those properties by their folded names, older names among them."""
        return {folded(name): name for name in self.columns} | {
            folded(older): name for older, name in self.older_names.items()
        }

    @cached_property
    def outer(self) -> Mapping[str, str]:
        """Properties with others within, by their folded names."""
        return {folded(outer): outer for outer, dot, _ in (name.partition(".") for name in self.columns) if dot}

    @cached_property
    def ignored(self) -> frozenset[str]:
        """The folded names of what the API writes, here or at Seam, and an import does not decide on."""
        return frozenset(map(folded, {"type", *self.resource.model_fields, *self.elsewhere})) - self.imported.keys()


SYSTEM = Kind(
    name="acs_system",
    id_name="acs_system_id",
    model=_System,
    key=acs_system_key,
    stored=stored_acs_system,
    resource=AcsSystem,
    elsewhere=frozenset({"acs_access_group_count", "acs_user_count", "visionline_metadata"}),
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
    elsewhere=frozenset(
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
# Parents first: the order of an export.
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (SYSTEM, POOL, USER)}
ID_NAMES = tuple(kind.id_name for kind in KINDS.values())
# Of all kinds, by folded names; a property has the same name in each.
IMPORTED: Mapping[str, str] = {
    "type": "type",
    **{name: known for kind in KINDS.values() for name, known in kind.imported.items()},
}
IGNORED = frozenset(name for kind in KINDS.values() for name in kind.ignored) - IMPORTED.keys()


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
        attributes: Those of the item that it gives.
        removed: Those that it removes.
        unused: The properties that it names and that say nothing, as it writes them.
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
        """The system that it is, or is in; ``None`` if the row does not say that."""
        system_id = self.attributes.get("acs_system_id")
        return None if system_id is None else str(system_id)


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
    values, unused, problems = _read_properties(kind, raw.properties)
    problems = problems or _problems_of_kind(kind, raw.properties, unused)
    try:
        properties = kind.model.model_validate(values)
    except ValidationError as invalid:
        problems = [*problems, *map(_problem, invalid.errors())]
    if problems:
        return BadRow(raw.line, raw.end, problems)
    given = {name: _stored(getattr(properties, name)) for name in properties.model_fields_set}
    # False is a value, an empty text or set is none.
    attributes = {name: value for name, value in given.items() if value is False or value}
    # A record was always created sometime.
    removed = given.keys() - attributes.keys() - {"created_at"}
    if "access_starts_at" in removed:
        if "access_ends_at" in attributes:
            return BadRow(raw.line, raw.end, [_NO_START])
        removed |= {"access_ends_at"}
    return Row(raw.line, raw.end, kind, attributes, frozenset(removed), unused)


def problems_of_record(kind: Kind, wanted: Item, existing: Item | None) -> Sequence[Problem]:
    """Return what is the matter with a record as it is to be.

    Args:
        kind: Its kind.
        wanted: Its attributes.
        existing: Those that it has, if it is there already.
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
    # As they are stored, in milliseconds: such texts sort as the moments do.
    if str(ends_at) <= str(starts_at):
        return [*missing, ("access_schedule", "ends_at must be after starts_at, by a millisecond at least")]
    return missing


def nearest_property(name: str, kind: Kind | None = None) -> str | None:
    """Return the property that a name nearly is: one of a kind, or else of any."""
    return nearest(name, IMPORTED if kind is None else kind.imported)


def _kind(properties: Mapping[str, Any]) -> Kind | Problem:
    values = {folded(name): value for name, value in properties.items()}
    named = values.get("type")
    if named is not None:
        kind = KINDS.get(trim(named)) if isinstance(named, str) else None
        return kind or ("type", f"Invalid enum value. Expected {' or '.join(map(repr, KINDS))}")
    for kind in (POOL, USER, SYSTEM):  # the first two name their system too
        if values.get(folded(kind.id_name)) is not None:
            return kind
    return SYSTEM.id_name, f"Required, or else {POOL.id_name} or {USER.id_name}"


def _read_properties(kind: Kind, properties: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """Return what a row says by the names of its kind, the names that say nothing, and names that are problems."""
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    unused: list[str] = []
    problems: list[Problem] = []
    for name, value in _flat(kind, properties):
        key = folded(name)
        known = kind.imported.get(key)
        if known is not None:
            # Seam writes some properties by their older names, too.
            if known in values and values[known] != value:
                problems.append((known, f"Given twice: as {written[known]} and as {name}"))
            values[known], written[known] = value, name
        elif key in kind.outer:
            problems.append((kind.outer[key], f"Expected object, received {json_type(value)}"))
        elif key not in kind.ignored and not (value is None and key in IMPORTED) and len(unused) < _MOST_UNUSED:
            unused.append(name)
    return values, unused, problems


def _flat(kind: Kind, properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield properties with a dot before what is within another; what is within null is null."""
    for name, value in properties.items():
        outer = kind.outer.get(folded(name))
        if outer is not None and value is None:
            yield from ((column, None) for column in kind.columns if column.startswith(f"{outer}."))
        elif outer is not None and isinstance(value, dict):
            yield from ((f"{name}.{inner}", inner_value) for inner, inner_value in value.items())
        else:
            yield name, value


def _problems_of_kind(kind: Kind, properties: Mapping[str, Any], unused: Sequence[str]) -> list[Problem]:
    """Tell a system from a row without its own id: a system has no property of a person."""
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
