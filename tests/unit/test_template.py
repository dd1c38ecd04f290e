"""The local stack starts only on what it can interpret."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from enrollments.local.stack import open_stack
from local_aws.errors import StackError
from local_aws.template import TemplateError, load_template

pytestmark = pytest.mark.long

type Edit = Callable[[str, str], Path]

EVENT = "enrollment_automations/launch, Method: POST}}\n"
LAUNCH = EVENT.removesuffix("}}\n")
# To read and translate a template takes its time, so most of it is left out:
# every route but those that launch or create, since the time grows with the square of their number; the alarms and the
# dashboard, two fifths of the lines, which no test here is about; and what names them.
LEFT_OUT = re.compile(
    r" +\w+:( {|\n +)Type: Api(, |\n +)Properties: {RestApiId: !Ref Api, Path: /(?!\S+/(launch|create),).*\n"
    r"|  # -+ Alarms\n(?s:.*?)(?=  # -+ The layers\n)"
    r"|      DeploymentPreference: {.*}\n"
    r"|  DashboardUrl:\n(    .*\n)+"
)
PERMISSION = """\
  Everybody:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref AuthorizerFunction
      Principal: "*"
"""
SECOND_MAPPING = """\
  Second:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt DeliveriesQueue.Arn
      FunctionName: !GetAtt DeliveriesFunction.Arn
"""


@pytest.fixture
def edited(project: Path, tmp_path: Path) -> Edit:
    """Return a function that writes the template with one part replaced, and with the part that tests are about."""

    def edit(old: str, new: str) -> Path:
        source = LEFT_OUT.sub("", (project / "template.yaml").read_text())
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


def test_what_is_left_of_the_template_is_interpreted(edited: Edit) -> None:
    start(edited("Resources:\n", "Resources:\n"))


def test_parameters_reach_the_resources(project: Path) -> None:
    resources = load_template(project / "template.yaml", {"MemorySize": "512"})

    assert resources["EnrollmentAutomationsFunction"].properties["MemorySize"] == "512"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("        DefaultAuthorizer: TokenAuthorizer\n", "", "DefaultAuthorizer"),
        (EVENT, f"{LAUNCH}, Auth: {{Authorizer: NONE}}}}}}\n", "a route needs one authorizer"),
        (EVENT, f"{LAUNCH}, Auth: {{Authorizer: AWS_IAM}}}}}}\n", "only custom TOKEN authorizers"),
        (EVENT, f"{LAUNCH}, Auth: {{ApiKeyRequired: true}}}}}}\n", "only custom TOKEN authorizers"),
        (
            "TOKEN\n            Identity:\n              Header: Authorization\n",
            "REQUEST\n            Identity:\n              Headers: [Authorization]\n",
            "only custom TOKEN authorizers",
        ),
        (
            "Path: /user_identities/enrollment_automations/launch,",
            'Path: "/user_identities/{proxy+}",',
            "path parameters",
        ),
        ('Path: "/{proxy+}", Method: OPTIONS', 'Path: "/{proxy+}", Method: POST', "/{proxy[+]}: post"),
        ('Path: "/{proxy+}"', 'Path: "/{proxy}"', "path parameters"),
        (EVENT, EVENT.replace("POST", "ANY"), "x-amazon-apigateway-any-method"),
        (
            "      Auth:\n",
            "      Auth:\n        ResourcePolicy: {IpRangeBlacklist: [10.0.0.0/8]}\n",
            "x-amazon-apigateway-policy",
        ),
        ('ValidationExpression: "^', 'ValidationExpression: "^(', "validation expression"),
        ("$context.authorizer.message", "$context.identity.sourceIp", "context.identity.sourceIp"),
        (
            "seam-request-id: context.requestId",
            "seam-request-id: method.request.querystring.x",
            "cannot be interpreted",
        ),
        ("seam-request-id: context.requestId", "seam-request-id: method.request.header.a.b", "cannot be interpreted"),
        ("seam-request-id: context.requestId", "seam-request-id: method.request.body", "cannot be interpreted"),
        ("!GetAtt AuthorizerRole.Arn", "!ImportValue role", "Fn::ImportValue"),
        ("!GetAtt AuthorizerRole.Arn", "!GetAtt AuthorizerRole.RoleId", "AuthorizerRole.RoleId"),
        (
            "POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations",
            "POWERTOOLS_METRICS_NAMESPACE: !Ref Tableau",
            "Tableau",
        ),
        (
            "POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations",
            "POWERTOOLS_METRICS_NAMESPACE: !FindInMap [a, b, c]",
            "Fn::FindInMap",
        ),
        ("Type: AWS::Logs::LogGroup", "Type: AWS::SNS::Topic", "AWS::SNS::Topic"),
        ("CodeUri: functions/authorizer/", "CodeUri: functions/nobody/", "there is no app.py"),
        ("Handler: app.lambda_handler", "Handler: index.lambda_handler", "there is no index.py"),
        ("Runtime: python3.13", "Runtime: nodejs22.x", "python3.13"),
        ("      Timeout: 28", "      FunctionUrlConfig: {AuthType: NONE}\n      Timeout: 28", "AWS::Lambda::Url"),
        ("Parameters:\n", "Mappings: {}\nParameters:\n", "unknown sections: Mappings"),
        ("Transform:\n", "Transform:\n  - AWS::Include\n", "unknown transforms"),
        ("Resources:\n", "Resources: [\n", "not YAML"),
        ("Conditions:\n", "Rules: {}\nConditions:\n", "unknown sections: Rules"),
        (
            "EndpointConfiguration: {Type: REGIONAL}",
            "EndpointConfiguration: {Type: PRIVATE}",
            "only a REGIONAL or EDGE",
        ),
        (
            "EndpointConfiguration: {Type: REGIONAL}",
            "EndpointConfiguration: {Type: REGIONAL, VPCEndpointIds: [vpce-1]}",
            "only a REGIONAL or EDGE",
        ),
        (
            EVENT,
            f"{LAUNCH}, Auth: {{Authorizer: TokenAuthorizer, AuthorizationScopes: [a]}}}}}}\n",
            "a route needs one authorizer",
        ),
        ("        DEFAULT_5XX: ", "        WAF_FILTERED: ", "no gateway response DEFAULT_5XX"),
        ("        DEFAULT_4XX: ", "        WAF_FILTERED: ", "no gateway response DEFAULT_4XX"),
        ("Resources:\n", f"Resources:\n{SECOND_MAPPING}", "two mappings of the same stream or queue"),
        ("Resources:\n", f"Resources:\n{PERMISSION}", "only API Gateway invokes functions here, not [*]"),
        ("Resources:\n", f"Resources:\n{PERMISSION}      FunctionUrlAuthType: NONE\n", "FunctionUrlAuthType"),
        ("AWS_ENDPOINT_URL_DYNAMODB: !Ref AWS::NoValue", "AWS_ENDPOINT_URL_DYNAMODB: x", "AWS_ENDPOINT_URL_DYNAMODB"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "_HANDLER: x", "_HANDLER is a name that Lambda keeps"),
        (
            "POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations",
            "LAMBDA_TASK_ROOT: x",
            "LAMBDA_TASK_ROOT is a name that Lambda keeps",
        ),
        ("!Ref EnrollmentLayer]", "arn:aws:lambda:us-east-1:1:layer:theirs:1]", "layer:theirs:1 is no layer"),
        ("    Type: Number\n", "    Type: AWS::SSM::Parameter::Value<String>\n", "AWS::SSM::Parameter"),
        ("    MinValue: 256\n", "    MinValue: 2560\n", "MemorySize cannot be 1024 .MinValue: 2560."),
        ("    MinValue: 256\n", "    Least: 256\n", "parameter MemorySize: Least"),
    ],
)
def test_what_cannot_be_interpreted_is_refused(edited: Edit, old: str, new: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        start(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Parameters:\n", "Parameters: [1]\nUnused:\n"),
        ("Parameters:\n", "Parameters:\n  Odd: text\n"),
        ("Parameters:\n", "Parameters:\n  Odd: {Default: x}\n"),
        ("Parameters:\n", "Parameters:\n  Odd: {Type: String, Default: {}}\n"),
        ("    MinValue: 256\n", "    MinValue: few\n"),
        ("    AllowedPattern: ", "    AllowedPattern: (\n    ConstraintDescription: "),
        ("Transform:\n", "Transform:\n  - {Name: x}\n"),
        ("Conditions:\n", "Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\n"),
        ("HasCors: ", "HasCors: 3\n  Unused: "),
        ("HasCors: ", "HasCors: !Not []\n  Unused: "),
        ("HasCors: ", "HasCors: !Equals [1]\n  Unused: "),
        ("Resources:\n", "Resources:\n  Odd: text\n"),
        ("Resources:\n", "Resources:\n  Odd: {}\n"),
        ("Resources:\n", "Resources:\n  Odd: {Type: [x]}\n"),
        ("Resources:\n", "Resources:\n  Odd: {Type: AWS::IAM::Role, Properties: text, Condition: {}}\n"),
        ("Resources:\n", "Resources:\n  Odd: {Type: AWS::Lambda::Function, Properties: text}\n"),
        ("Resources:\n", "Resources:\n  Odd: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.13}}\n"),
        ("Resources:\n", f"Resources:\n  Odd: {'[' * 2000}{']' * 2000}\n"),
        ("Resources:\n", "Resources:\n  Odd: &a {Type: AWS::IAM::Role, Properties: {A: *a}}\n"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Ref [Table]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !GetAtt Table"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Sub [a, b, c]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Sub '${AWS::NoValue}'"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Join [a]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Select [9, [a]]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !Split [a]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: !If [HasCors]"),
        ("POWERTOOLS_METRICS_NAMESPACE: EnrollmentAutomations", "POWERTOOLS_METRICS_NAMESPACE: [a, b]"),
        ('ValidationExpression: "', 'ValidationExpression: [a]\n              Unused: "'),
        ("ReauthorizeEvery: !Ref AuthorizerCacheSeconds", "ReauthorizeEvery: often"),
        ("ReauthorizeEvery: !Ref AuthorizerCacheSeconds", "ReauthorizeEvery: 3601"),
        ("Timeout: 28", "Timeout: long"),
        ("Timeout: 28", "Timeout: [28]"),
        ("Timeout: 28", "Timeout: 901"),
        ("Timeout: 28", "Timeout: 0"),
        ("MemorySize: !Ref MemorySize", "MemorySize: nan"),
        ("ThrottlingRateLimit: !Ref ThrottlingRateLimit", "ThrottlingRateLimit: -1"),
        ("ThrottlingRateLimit: !Ref ThrottlingRateLimit", "ThrottlingRateLimit: {a: 1}"),
        ('- HttpMethod: "*"\n', "- Method: x\n"),
        ("seam-request-id: context.requestId", "seam-request-id: 3"),
        ("seam-request-id: context.requestId", "'a b': context.requestId"),
        ("seam-request-id: context.requestId", "seam-request-id: \"'a\\r\\nb: c'\""),
        ("StatusCode: 401", "StatusCode: often"),
        ("- {AttributeName: pk, KeyType: HASH}", "- pk"),
    ],
)
def test_what_is_malformed_is_refused(edited: Edit, old: str, new: str) -> None:
    with pytest.raises((TemplateError, StackError)):
        start(edited(old, new))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MemorySize", "255", "MinValue: 256"),
        ("MemorySize", "10241", "MaxValue: 10240"),
        ("MemorySize", "much", "not a number"),
        ("MemorySize", "1_024", "not a number"),
        ("MemorySize", "nan", "not a number"),
        ("CorsOrigins", "app.example.com", "AllowedPattern"),
        ("LogRetentionDays", "2", "AllowedValues"),
    ],
)
def test_a_value_that_breaks_a_constraint_is_refused(project: Path, name: str, value: str, why: str) -> None:
    with pytest.raises(TemplateError, match=f"parameter {name} cannot be {value}.*{why}"):
        load_template(project / "template.yaml", {name: value})


@pytest.mark.parametrize(("constraint", "value"), [("MinLength: 3", "ab"), ("MaxLength: 3", "abcd")])
def test_the_length_of_a_value_is_constrained(edited: Edit, constraint: str, value: str) -> None:
    template = edited("Parameters:\n", f"Parameters:\n  Word: {{Type: String, {constraint}}}\n")

    assert load_template(template, {"Word": "abc"})
    with pytest.raises(TemplateError, match="parameter Word cannot be"):
        load_template(template, {"Word": value})


def test_a_table_that_cannot_be_made_is_said_to_be_in_moto(edited: Edit) -> None:
    with pytest.raises(StackError, match="the table in moto: "):
        start(edited("BillingMode: PAY_PER_REQUEST", "BillingMode: FREE"))


def test_an_unknown_parameter_is_refused(project: Path) -> None:
    with pytest.raises(TemplateError, match="no such parameter: Memory"):
        start(project / "template.yaml", Memory="1")


def test_a_value_that_is_not_allowed_is_refused(project: Path) -> None:
    with pytest.raises(TemplateError, match="Architecture cannot be vax"):
        start(project / "template.yaml", Architecture="vax")


def test_a_template_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="No such file"):
        start(tmp_path / "template.yaml")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dynamodb.eu-west-1.amazonaws.com",
        "https://dynamodb.eu-west-1.api.aws",
        "ftp://localhost",
        "localhost:8000",
        "http://[::1",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://:8000",
        "http://local host:8000",
        "http://localhost:8000/\n",
    ],
)
def test_only_a_local_dynamodb_is_seeded(project: Path, endpoint: str) -> None:
    with (
        pytest.raises(StackError, match="DYNAMODB_ENDPOINT"),
        open_stack(project / "template.yaml", dynamodb_endpoint=endpoint, log=io.StringIO(), terminal=io.StringIO()),
    ):
        pass


def test_no_functions_resource_policy_outgrows_what_lambda_takes(project: Path) -> None:
    """Each event adds a statement; Lambda takes 20,480 bytes of them, and `sam deploy` fails on more."""
    resources = load_template(project / "template.yaml", {})
    sizes: dict[str, int] = {}
    for permission in resources.values():
        if permission.type == "AWS::Lambda::Permission":
            statement = {
                "Sid": f"a-stack-name-of-thirty-characters-{permission.logical_id}-ABCDEFGHIJKLM",
                "Effect": "Allow",
                "Principal": {"Service": permission.properties["Principal"]},
                "Action": permission.properties["Action"],
                "Resource": f"a-stack-name-of-thirty-characters-{permission.properties['FunctionName']}-ABCDEFGHIJKLM",
                "Condition": {"ArnLike": {"AWS:SourceArn": permission.properties["SourceArn"]}},
            }
            function = permission.properties["FunctionName"]
            sizes[function] = sizes.get(function, 0) + len(json.dumps(statement))

    assert len(sizes) == 7
    assert max(sizes.values()) < 20_480, sizes
