"""A table's items without a client of botocore, which takes its time over many of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from local_aws.template import ACCOUNT_ID

type Attributes = Mapping[str, Mapping[str, Any]]


def by_key(found: Iterable[Attributes]) -> dict[Key, Item]:
    """Return items that DynamoDB's JSON describes, by their keys and without them."""
    items = [{name: _value(attribute) for name, attribute in item.items()} for item in found]
    return {Key(item.pop("pk"), item.pop("sk")): item for item in items}


def _value(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "SS":
            return frozenset(value)
        case "N":
            return int(value)
    return value


def in_moto(table_name: str) -> Iterable[Attributes]:
    """Return a table's items as they are in moto: its scan takes longer than all else."""
    (backend,) = (one for one in dynamodb_backends[ACCOUNT_ID].values() if table_name in one.tables)
    partitions = backend.tables[table_name].items.values()
    items = [item for partition in partitions for item in partition.values()]
    return [{name: {value.type: value.value} for name, value in item.attrs.items()} for item in items]


def unsigned(operation: str) -> dict[str, str]:
    """Return the headers of a request to a server that asks for a signature but does not look at it."""
    return {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
