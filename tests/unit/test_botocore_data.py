"""The layer has of botocore's data what the functions read, and a build does not depend on how botocore lays it out."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import PROJECT

DESCRIPTION = {
    "metadata": {"apiVersion": "2012-08-10"},
    "operations": {
        "GetItem": {"name": "GetItem", "input": {"shape": "GetItemInput"}, "documentation": "<p>Gets an item.</p>"},
        "Scan": {"name": "Scan", "input": {"shape": "ScanInput"}},
    },
    "shapes": {
        "GetItemInput": {"type": "structure", "members": {"Key": {"shape": "Key", "documentation": "<p>A key.</p>"}}},
        "Key": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Key"}},
        "Name": {"type": "string"},
        "ScanInput": {"type": "structure", "members": {"documentation": {"shape": "Name"}}},
    },
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small ``botocore/data``."""
    write(tmp_path / "_retry.json", {})
    services: dict[str, Any] = {"dynamodb": {"endpoints": {}}, "s3": {"endpoints": {}}}
    write(tmp_path / "endpoints.json", {"version": 3, "partitions": [{"partition": "aws", "services": services}]})
    write(tmp_path / "dynamodb/2011-12-05/service-2.json", {})
    write(tmp_path / "dynamodb/2012-08-10/examples-1.json", {})
    write(tmp_path / "dynamodb/2012-08-10/paginators-1.json", {})
    write(tmp_path / "dynamodb/2012-08-10/service-2.json.gz", DESCRIPTION)
    write(tmp_path / "s3/2006-03-01/service-2.json.gz", {})
    return tmp_path


def write(file: Path, document: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(document).encode()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def cut(data: Path, *services: str) -> subprocess.CompletedProcess[str]:
    script = PROJECT / "layers/dependencies/cut_botocore_data.py"
    command = [sys.executable, str(script), str(data), *services]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603


def files(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


def test_what_no_client_of_the_services_reads_is_removed(data: Path) -> None:
    cut(data, "dynamodb=GetItem")

    assert files(data) == {
        "_retry.json",
        "dynamodb/2012-08-10/paginators-1.json",
        "dynamodb/2012-08-10/service-2.json",
        "endpoints.json",
    }


def test_the_description_has_what_the_operations_need(data: Path) -> None:
    cut(data, "dynamodb=GetItem")

    assert json.loads((data / "dynamodb/2012-08-10/service-2.json").read_text()) == {
        "metadata": {"apiVersion": "2012-08-10"},
        "operations": {"GetItem": {"name": "GetItem", "input": {"shape": "GetItemInput"}}},
        "shapes": {
            "GetItemInput": {"type": "structure", "members": {"Key": {"shape": "Key"}}},
            "Key": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Key"}},
            "Name": {"type": "string"},
        },
    }


def test_a_member_that_is_called_documentation_stays(data: Path) -> None:
    cut(data, "dynamodb=Scan")

    shapes = json.loads((data / "dynamodb/2012-08-10/service-2.json").read_text())["shapes"]
    assert shapes["ScanInput"]["members"] == {"documentation": {"shape": "Name"}}


def test_the_list_of_endpoints_has_the_services_only(data: Path) -> None:
    cut(data, "dynamodb=GetItem")

    assert json.loads((data / "endpoints.json").read_text()) == {
        "version": 3,
        "partitions": [{"partition": "aws", "services": {"dynamodb": {"endpoints": {}}}}],
    }


def test_several_services_can_be_kept(data: Path) -> None:
    cut(data, "dynamodb=GetItem", "s3=PutObject")

    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "s3"}


def test_a_description_that_is_not_compressed_is_cut_too(data: Path) -> None:
    description = data / "dynamodb/2012-08-10/service-2.json"
    description.with_name("service-2.json.gz").unlink()
    write(description, DESCRIPTION)

    cut(data, "dynamodb=GetItem")

    assert list(json.loads(description.read_text())["operations"]) == ["GetItem"]


def test_an_operation_that_botocore_does_not_know_is_left_out(data: Path) -> None:
    cut(data, "dynamodb=GetItem,PutSomething")

    assert list(json.loads((data / "dynamodb/2012-08-10/service-2.json").read_text())["operations"]) == ["GetItem"]


def test_a_folder_that_is_no_services_stays(data: Path) -> None:
    write(data / "shared/rules.json", {})

    cut(data, "dynamodb=GetItem")

    assert (data / "shared/rules.json").is_file()


@pytest.mark.parametrize(
    "file",
    ["endpoints.json", "dynamodb/2011-12-05/service-2.json", "dynamodb/2012-08-10/examples-1.json"],
)
def test_a_file_that_is_not_there_need_not_be_cut(data: Path, file: str) -> None:
    (data / file).unlink()

    finished = cut(data, "dynamodb=GetItem")

    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_service_that_is_not_there_need_not_be_cut(data: Path) -> None:
    finished = cut(data, "dynamodb=GetItem", "sqs=SendMessage")

    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize(
    "laid_out_otherwise", [{}, [], {"operations": [], "shapes": []}, {"operations": {"GetItem": {}}}]
)
@pytest.mark.parametrize("file", ["dynamodb/2012-08-10/service-2.json.gz", "endpoints.json"])
def test_a_file_that_is_laid_out_otherwise_stays_as_published(
    data: Path, file: str, laid_out_otherwise: dict[str, Any]
) -> None:
    write(data / file, laid_out_otherwise)
    published = (data / file).read_bytes()

    finished = cut(data, "dynamodb=GetItem")

    assert (data / file).read_bytes() == published
    assert f"{file} stays as published, because it is not laid out as expected" in finished.stderr


def test_a_file_that_cannot_be_read_stays_as_published(data: Path) -> None:
    description = data / "dynamodb/2012-08-10/service-2.json.gz"
    description.write_bytes(b"not compressed")

    finished = cut(data, "dynamodb=GetItem")

    assert description.read_bytes() == b"not compressed"
    assert "service-2.json.gz stays as published" in finished.stderr
