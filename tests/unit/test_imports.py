"""Imports go one way: the contracts are in pyproject.toml, under ``tool.importlinter``."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLACES = ("layers/enrollment", "cli")


def lint(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder / place) for place in PLACES)
    return subprocess.run(  # noqa: S603
        [Path(sys.executable).parent / "lint-imports", "--config", config, "--no-cache"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_import_goes_up_and_no_modules_import_each_other(project: Path) -> None:
    found = lint(project / "pyproject.toml", project)

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("store/keys.py", "enrollment.use_cases.links", "Inside the package, imports go one way"),
        ("resources/fields.py", "enrollment.store.table", "Inside the package, imports go one way"),
        ("use_cases/tokens.py", "enrollment.http.api", "Inside the package, imports go one way"),
        ("store/keys.py", "enrollment.store.items", "No modules import each other"),
    ],
)
def test_a_planted_import_is_found(project: Path, tmp_path: Path, module: str, imported: str, broken: str) -> None:
    for place in PLACES:
        shutil.copytree(project / place, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / PLACES[0] / "enrollment" / module
    path.write_text(f"{path.read_text()}\n\nimport {imported}\n")

    found = lint(project / "pyproject.toml", tmp_path)

    assert found.returncode == 1
    assert f"{broken} BROKEN" in found.stdout
