"""Third-party code is shipped as published, and the bill of materials names it."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest

from tests.artefacts.conftest import hashes_of

pytestmark = pytest.mark.artefacts

SITE = "DependenciesLayer/python"
CODE = (".py", ".so")
# What pip writes for itself into a package's folder.
PIPS_OWN = re.compile(r"\.dist-info/(INSTALLER|RECORD|REQUESTED)$")
LEFT_OUT = re.compile(r"^botocore/data/|\.pyi$|(^|/)py\.typed$|/swagger-ui[^/]*$")
LICENCE = re.compile(r"licen[cs]e|copying|notice", re.IGNORECASE)


def of_code(hashes: dict[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in hashes.items() if path.endswith(CODE)}


def normalised(name: str) -> str:
    """Return a package's name in the one way in which equal names are written (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def shipped(build: Path) -> dict[str, str]:
    return hashes_of(build / SITE)


@pytest.fixture(scope="module")
def packages(build: Path) -> list[Distribution]:
    return list(distributions(path=[str(build / SITE)]))


@pytest.fixture(scope="module")
def bill_of_materials(build: Path) -> list[dict[str, Any]]:
    document = json.loads((build.parent / "sbom.cdx.json").read_text())
    components: list[dict[str, Any]] = document["components"]
    return components


def test_every_file_of_code_is_what_its_package_published(shipped: dict[str, str], published: dict[str, str]) -> None:
    assert of_code(published)["botocore/client.py"]
    assert of_code(shipped) == of_code(published)


def test_of_other_files_only_botocores_data_is_changed(shipped: dict[str, str], published: dict[str, str]) -> None:
    changed = {path for path, digest in shipped.items() if published.get(path) != digest and not PIPS_OWN.search(path)}

    assert changed == {
        "botocore/data/endpoints.json",
        "botocore/data/dynamodb/2012-08-10/service-2.json",
        "botocore/data/events/2015-10-07/service-2.json",
        "botocore/data/lambda/2015-03-31/service-2.json",
        "botocore/data/secretsmanager/2017-10-17/service-2.json",
        "botocore/data/sqs/2012-11-05/service-2.json",
    }


def test_only_what_is_named_is_left_out(shipped: dict[str, str], published: dict[str, str]) -> None:
    assert [path for path in sorted(published.keys() - shipped.keys()) if not LEFT_OUT.search(path)] == []


def test_a_build_without_cuts_ships_all_that_was_published(uncut: Path, published: dict[str, str]) -> None:
    found = hashes_of(uncut / SITE)

    assert {path for path, digest in published.items() if found.get(path) != digest} == set()


def test_the_bill_of_materials_names_the_packages_that_are_shipped(
    packages: Iterable[Distribution], bill_of_materials: Iterable[dict[str, Any]]
) -> None:
    named = {(component["name"], component["version"]) for component in bill_of_materials}

    assert named == {(normalised(package.name), package.version) for package in packages}


def test_the_bill_of_materials_has_the_hash_of_each_wheel_that_is_shipped(
    wheels: Iterable[Path], bill_of_materials: list[dict[str, Any]]
) -> None:
    told = set(hashes_in(bill_of_materials))

    assert {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels} <= told


def hashes_in(components: Iterable[dict[str, Any]]) -> Iterator[str]:
    for component in components:
        for reference in component["externalReferences"]:
            yield from (digest["content"] for digest in reference["hashes"])


def test_each_package_brings_its_licence(packages: Iterable[Distribution]) -> None:
    without = [
        package.name
        for package in packages
        if not any(LICENCE.search(file.name) and Path(str(file.locate())).is_file() for file in package.files or ())
    ]

    # This one names its licence, MIT, and has no text of it.
    assert without == ["standardwebhooks"]
