"""The local stack starts only on what it can interpret."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from enrollments.local.stack import StackError, open_stack
from enrollments.local.template import TemplateError, load_template

type Edit = Callable[[str, str], Path]

EVENT = "            Method: POST\n"


@pytest.fixture
def edited(project: Path, tmp_path: Path) -> Edit:
    """Return a function that writes the template with one part replaced."""

    def edit(old: str, new: str) -> Path:
        source = (project / "template.yaml").read_text()
        assert source.count(old) >= 1
        path = tmp_path / "template.yaml"
        path.write_text(source.replace(old, new, 1))
        for folder in ("functions", "layers"):
            (tmp_path / folder).symlink_to(project / folder)
        return path

    return edit


def start(template: Path, **parameters: str) -> None:
    with open_stack(template, parameters=parameters, log=io.StringIO(), terminal=io.StringIO()):
        pass


def test_the_template_is_interpreted(project: Path) -> None:
    start(project / "template.yaml")


def test_parameters_reach_the_resources(project: Path) -> None:
    resources = load_template(project / "template.yaml", {"MemorySize": "512"})

    assert resources["EnrollmentAutomationsFunction"].properties["MemorySize"] == "512"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("        DefaultAuthorizer: TokenAuthorizer\n", "", "DefaultAuthorizer"),
        (EVENT, EVENT + "            Auth: {Authorizer: NONE}\n", "a route needs one authorizer"),
        (EVENT, EVENT + "            Auth: {Authorizer: AWS_IAM}\n", "only custom TOKEN authorizers"),
        (EVENT, EVENT + "            Auth: {ApiKeyRequired: true}\n", "only custom TOKEN authorizers"),
        (
            "TOKEN\n            Identity:\n              Header: Authorization\n",
            "REQUEST\n            Identity:\n              Headers: [Authorization]\n",
            "only custom TOKEN authorizers",
        ),
        ("launch\n" + EVENT, "{proxy+}\n" + EVENT, "path parameters"),
        (EVENT, "            Method: ANY\n", "x-amazon-apigateway-any-method"),
        (
            "      Auth:\n",
            "      Auth:\n        ResourcePolicy: {IpRangeBlacklist: [10.0.0.0/8]}\n",
            "x-amazon-apigateway-policy",
        ),
        ("ValidationExpression: ^", "ValidationExpression: ^(", "validation expression"),
        ("$context.authorizer.message", "$context.identity.sourceIp", "context.identity.sourceIp"),
        (
            "seam-request-id: context.requestId",
            "seam-request-id: method.request.querystring.x",
            "cannot be interpreted",
        ),
        ("!GetAtt AuthorizerRole.Arn", "!ImportValue role", "Fn::ImportValue"),
        ("!GetAtt AuthorizerRole.Arn", "!GetAtt AuthorizerRole.RoleId", "AuthorizerRole.RoleId"),
        ("TABLE_NAME: !Ref Table", "TABLE_NAME: !Ref Tableau", "Tableau"),
        ("TABLE_NAME: !Ref Table", "TABLE_NAME: !FindInMap [a, b, c]", "Fn::FindInMap"),
        ("Type: AWS::Logs::LogGroup", "Type: AWS::SQS::Queue", "AWS::SQS::Queue"),
        ("CodeUri: functions/authorizer/", "CodeUri: functions/nobody/", "there is no app.py"),
        ("Handler: app.lambda_handler", "Handler: index.lambda_handler", "there is no index.py"),
        ("Runtime: python3.13", "Runtime: nodejs22.x", "python3.13"),
        ("      Timeout: 28", "      FunctionUrlConfig: {AuthType: NONE}\n      Timeout: 28", "AWS::Lambda::Url"),
        ("Parameters:\n", "Mappings: {}\nParameters:\n", "unknown sections: Mappings"),
        ("Transform:\n", "Transform:\n  - AWS::Include\n", "unknown transforms"),
        ("Resources:\n", "Resources: [\n", "not YAML"),
    ],
)
def test_what_cannot_be_interpreted_is_refused(edited: Edit, old: str, new: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        start(edited(old, new))


def test_an_unknown_parameter_is_refused(project: Path) -> None:
    with pytest.raises(TemplateError, match="no such parameter: Memory"):
        start(project / "template.yaml", Memory="1")


def test_a_value_that_is_not_allowed_is_refused(project: Path) -> None:
    with pytest.raises(TemplateError, match="Architecture cannot be vax"):
        start(project / "template.yaml", Architecture="vax")


def test_a_template_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="No such file"):
        start(tmp_path / "template.yaml")


@pytest.mark.parametrize("endpoint", ["https://dynamodb.eu-west-1.amazonaws.com", "ftp://localhost", "localhost:8000"])
def test_only_a_local_dynamodb_is_seeded(project: Path, endpoint: str) -> None:
    with (
        pytest.raises(StackError, match="DYNAMODB_ENDPOINT"),
        open_stack(project / "template.yaml", dynamodb_endpoint=endpoint, log=io.StringIO(), terminal=io.StringIO()),
    ):
        pass
