"""What ``sam local`` is given, and what is said where there is no Docker."""

from pathlib import Path

import pytest
import yaml

from enrollments.local.containers import for_sam_local, open_containers
from local_aws.errors import StackError

BUILT = """\
Resources:
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: Layer}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Function
      DurableConfig: {ExecutionTimeout: 60}
      Events:
        Get: {Type: Api, Properties: {Path: /get, Method: GET}}
        Preflight: {Type: Api, Properties: {Path: /get, Method: OPTIONS}}
"""


def test_sam_local_gets_no_route_without_authorizer_and_code_where_it_is() -> None:
    resources = for_sam_local(yaml.safe_load(BUILT), Path("/build"))["Resources"]

    assert resources["Layer"]["Properties"]["ContentUri"] == "/build/Layer"
    assert resources["Function"]["Properties"]["CodeUri"] == "/build/Function"
    assert resources["Function"]["Properties"]["Events"].keys() == {"Get"}


def test_sam_local_needs_no_emulator_of_durable_functions() -> None:
    function = for_sam_local(yaml.safe_load(BUILT), Path("/build"))["Resources"]["Function"]

    assert "DurableConfig" not in function["Properties"]


def test_a_machine_without_docker_is_told_so(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StackError, match=r"^Docker is needed"), open_containers(project / "template.yaml", tmp_path):
        pass
