"""What requests and answers have in common."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    StrictStr,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Request(BaseModel):
    """The parameters of a route."""

    # A model's validator is built when it is first used: a function has many models, its first request needs one.
    # Validation errors carry no input, because they might be logged.
    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)


class PagedRequest(Request):
    """The parameters of a list that comes in pages."""

    page_cursor: Annotated[
        StrictStr | None,
        WithJsonSchema({"type": ["string", "null"]}),
        Field(
            description="The previous page's `next_page_cursor`. It is valid with the same parameters only; just "
            "`limit` may differ. `null` asks for the first page."
        ),
    ] = None


class Response(BaseModel):
    """The JSON of an answer, or a part of it."""

    # A property with a default is in every answer, so the API document calls it required.
    model_config = ConfigDict(defer_build=True, frozen=True, json_schema_serialization_defaults_required=True)


class Pagination(Response):
    """Where a page stands in its list."""

    has_next_page: Annotated[bool, Field(description="Whether there is a page after this one.")]
    next_page_cursor: Annotated[
        str | None, Field(description="The `page_cursor` of the next page; `null` on the last page.")
    ]
    next_page_url: Annotated[
        str | None,
        Field(
            description="URL of the next page, for the same token; `null` on the last page.",
            json_schema_extra={"format": "uri"},
        ),
    ]


class ResourceError(Response):
    """Something that is wrong with a resource.  It is gone from the resource when it is put right."""

    error_code: Annotated[str, Field(description="What is wrong. There can be new codes.")]
    message: Annotated[str, Field(description="What is wrong, for people.")]
    created_at: Annotated[
        str, Field(description="Since when it is wrong, in UTC.", json_schema_extra={"format": "date-time"})
    ]


class DoneResponse(Response):
    """An answer that something is done."""

    ok: Literal[True] = True


class Resource(Response):
    """A resource that leaves out those of its properties named in ``ABSENT`` that have no value."""

    ABSENT: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        properties: dict[str, Any] = serialize(self)
        for name in self.ABSENT:
            if properties[name] is None:
                del properties[name]
        return properties

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # The schema must come from the fields: the serializer above returns any dictionary.
        described = handler({name: part for name, part in schema.items() if name != "serialization"})
        properties = handler.resolve_ref_schema(described)
        properties["required"] = [name for name in properties["required"] if name not in cls.ABSENT]
        return described
