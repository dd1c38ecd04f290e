"""Fields that several requests and answers share."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


class FromQuery(NamedTuple):
    """How a parameter that is no string is read from a query string, which has only text.  It stands beside the type.

    Attributes:
        is_array: Whether the parameter is an array, even if it is there only once.
        read: Turns the text of one value into what a JSON body would have; that is validated afterwards.
    """

    is_array: bool = False
    read: Callable[[str], Any] = str


# What zod accepts as a UUID, as the contract does: any version, with hyphens, and nothing around it.
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(value: object) -> bool:
    """Return whether a value is a UUID by the contract's rules."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _uuid(value: str) -> str:
    if not is_uuid(value):
        raise PydanticCustomError("uuid", "Invalid uuid")
    return value.lower()


def refuse_null(expected: str) -> BeforeValidator:
    """Return a validator that refuses ``null``: a parameter may be absent, but not null (contract, "Errors")."""

    def refuse(value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("null", f"Expected {expected}, received null")
        return value

    return BeforeValidator(refuse)


def _boolean_of_query(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


_UUID_SCHEMA = WithJsonSchema({"type": "string", "format": "uuid"})
Uuid = Annotated[StrictStr, AfterValidator(_uuid), _UUID_SCHEMA]

# ``None`` means absent; a client cannot send null.
OptionalUuid = Annotated[Uuid | None, refuse_null("string"), _UUID_SCHEMA]

# An id from the table, which was validated when it was stored.
KnownUuid = Annotated[str, _UUID_SCHEMA]
OptionalBoolean = Annotated[
    StrictBool | None,
    refuse_null("boolean"),
    FromQuery(read=_boolean_of_query),
    WithJsonSchema({"type": "boolean"}),
]

# WHATWG's "valid e-mail address", as browsers check it.
_EMAIL_ADDRESS = (
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+"
    r"@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)

_PHONE_NUMBER = r"\+[1-9][0-9]{1,14}"  # E.164

# RFC 3339.  As in zod, an offset may lack its colon: clients made by openapi-generator write it so in an address.
_MOMENT = re.compile(
    r"(?P<year>\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)

_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)

# DynamoDB allows an item 400 kB, and a partition key 2 kB.
LONGEST_KEY = 400
_LONGEST_EMAIL_ADDRESS = 254  # RFC 5321
LONGEST_TEXT = 1000
MOST_IDS = 1000
# DynamoDB allows a sort key 1 kB, and a character can take four bytes of it.
LONGEST_INSTALLATION_ID = 250
_MOST_DIGITS = 4300  # Python reads no longer number, neither here nor in JSON


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def match(value: str) -> str:
        if not compiled.fullmatch(value):
            raise PydanticCustomError("pattern", f"Invalid {what}")
        return value

    return AfterValidator(match)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Expected string")
    match = _MOMENT.fullmatch(value)
    if match is None:
        raise PydanticCustomError("datetime", "Invalid datetime")
    if match["year"] == "0000":  # RFC 3339 allows it, Python does not
        return _FIRST_MOMENT
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise PydanticCustomError("datetime", "Invalid datetime") from error
    try:
        return min(moment.astimezone(UTC), _LAST_MOMENT)
    except OverflowError:
        return _FIRST_MOMENT if moment.year == 1 else _LAST_MOMENT


def _number(value: Any) -> Any:
    if isinstance(value, float):  # in JSON, 10 and 10.0 are the same number
        if not value.is_integer():
            raise PydanticCustomError("int", "Expected integer, received float")
        return int(value)
    return value


def _number_of_query(text: str) -> Any:
    is_number = re.fullmatch(r"-?\d+", text, re.ASCII) and len(text) <= _MOST_DIGITS
    return int(text) if is_number else text


def json_schema(type_: str = "string", *, nullable: bool = False, **more: JsonDict | str | int) -> WithJsonSchema:
    """Return a field's schema for the API document, in place of the one that Pydantic would write."""
    return WithJsonSchema({"type": [type_, "null"] if nullable else type_, **more})


Text = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_TEXT)]
_Key = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_KEY)]
_EmailAddress = Annotated[StrictStr, Field(max_length=_LONGEST_EMAIL_ADDRESS), _matching(_EMAIL_ADDRESS, "email")]
_PhoneNumber = Annotated[StrictStr, _matching(_PHONE_NUMBER, "phone number")]
Moment = Annotated[datetime, BeforeValidator(_moment)]
_EMAIL_ADDRESS_SCHEMA: dict[str, Any] = {"pattern": f"^{_EMAIL_ADDRESS}$", "maxLength": _LONGEST_EMAIL_ADDRESS}
_PHONE_NUMBER_SCHEMA: dict[str, Any] = {"pattern": f"^{_PHONE_NUMBER.replace('\\+', '[+]')}$"}
_TEXT_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": LONGEST_TEXT}
_KEY_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": LONGEST_KEY}

# Nullable: ``None`` means null or absent.  Where that matters, ``model_fields_set`` tells which.
NullableText = Annotated[Text | None, json_schema(nullable=True, **_TEXT_SCHEMA)]
NullableKey = Annotated[_Key | None, json_schema(nullable=True, **_KEY_SCHEMA)]
NullableEmailAddress = Annotated[_EmailAddress | None, json_schema(nullable=True, **_EMAIL_ADDRESS_SCHEMA)]
NullablePhoneNumber = Annotated[_PhoneNumber | None, json_schema(nullable=True, **_PHONE_NUMBER_SCHEMA)]

# Optional: ``None`` means absent, and null is refused.
OptionalText = Annotated[Text | None, refuse_null("string"), json_schema(**_TEXT_SCHEMA)]
OptionalKey = Annotated[_Key | None, refuse_null("string"), json_schema(**_KEY_SCHEMA)]
OptionalEmailAddress = Annotated[_EmailAddress | None, refuse_null("string"), json_schema(**_EMAIL_ADDRESS_SCHEMA)]
OptionalPhoneNumber = Annotated[_PhoneNumber | None, refuse_null("string"), json_schema(**_PHONE_NUMBER_SCHEMA)]
OptionalMoment = Annotated[Moment | None, refuse_null("string"), json_schema(format="date-time")]
InstallationId = Annotated[
    StrictStr,
    Field(min_length=1, max_length=LONGEST_INSTALLATION_ID),
    json_schema(minLength=1, maxLength=LONGEST_INSTALLATION_ID),
]
OptionalInstallationId = Annotated[
    InstallationId | None,
    refuse_null("string"),
    json_schema(minLength=1, maxLength=LONGEST_INSTALLATION_ID),
]
NullableMoment = Annotated[Moment | None, json_schema(nullable=True, format="date-time")]
UUIDS_SCHEMA: dict[str, Any] = {"items": {"type": "string", "format": "uuid"}}

OptionalUuids = Annotated[
    Annotated[list[Uuid], Field(max_length=MOST_IDS)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    json_schema("array", maxItems=MOST_IDS, **UUIDS_SCHEMA),
]

Limit = Annotated[
    StrictInt,
    BeforeValidator(_number),
    Field(gt=0),
    FromQuery(read=_number_of_query),
    json_schema("integer", minimum=1),
]

# A filter that finds things without a value when it is null.  Its value becomes a part of a partition key.
NullableFilter = Annotated[
    Annotated[StrictStr, Field(max_length=LONGEST_KEY)] | None,
    json_schema(nullable=True, maxLength=LONGEST_KEY),
]


class NeverNull:
    """Takes null out of the schema of ``Model | None``, where ``None`` means absent."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        (described,) = (one for one in handler(schema)["anyOf"] if one != {"type": "null"})
        return dict(described)


def limit_of(default: int) -> Any:
    """Return the field ``limit`` of a list, which is ``default`` if a client does not send it."""
    return Field(
        default=default,
        description=f"Maximum number of records per page, {default:,} by default; never more than 1,000. A page may "
        "have fewer or none, even if it is not the last: see `pagination`.",
    )


def exactly_one(names: Sequence[str], given: Sequence[object]) -> None:
    """Check that exactly one of several ways to name something is used.

    Raises:
        PydanticCustomError: None is used, or several are.
    """
    if sum(value is not None for value in given) != 1:
        raise PydanticCustomError("one_of", f"Specify exactly one of {', '.join(names)}")


CREATED_AT = Field(description="When it was created, in UTC.", json_schema_extra={"format": "date-time"})
Absent = Annotated[str | None, WithJsonSchema({"type": "string"})]
AbsentUuid = Annotated[str | None, WithJsonSchema({"type": "string", "format": "uuid"})]
