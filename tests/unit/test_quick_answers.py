"""moto, while it answers quicker than it does by itself."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local_aws.functions import environment
from local_aws.quick_answers import quick_answers

ITEM = {
    "pk": {"S": "a"},
    "number": {"N": "1"},
    "bytes": {"B": b"\x00"},
    "texts": {"SS": ["x", "y"]},
    "numbers": {"NS": ["1", "2"]},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "nothing": {"NULL": True},
    "empty": {"S": ""},
    "list": {"L": [{"S": "x"}, {"L": []}, {"M": {}}]},
    "map": {"M": {"S": {"S": "a name like a type's"}, "deep": {"M": {"n": {"N": "2"}}}}},
}


@pytest.fixture
def client() -> Iterator[Any]:
    variables = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with environment(variables), mock_aws(), quick_answers():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        yield client


def test_values_of_every_type_come_back_as_they_were_put(client: Any) -> None:
    client.put_item(TableName="table", Item=ITEM)

    assert client.get_item(TableName="table", Key={"pk": ITEM["pk"]})["Item"] == ITEM


def test_the_same_condition_is_judged_anew_for_each_request(client: Any) -> None:
    request = {"TableName": "table", "ConditionExpression": "attribute_not_exists(pk) OR #n < :most"}
    names = {"ExpressionAttributeNames": {"#n": "number"}}
    client.put_item(TableName="table", Item=ITEM)

    client.put_item(**request, **names, Item=ITEM, ExpressionAttributeValues={":most": {"N": "2"}})

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.put_item(**request, **names, Item=ITEM, ExpressionAttributeValues={":most": {"N": "1"}})
