"""What takes long to make is made once, and made anew when what it depends on changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws.kept_files import MOST_FILES, kept
from local_aws.template import expand_template


@pytest.fixture
def made() -> list[str]:
    return []


@pytest.fixture
def make(made: list[str]) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        made.append("once more")
        return {"number": len(made)}

    return make


def test_it_is_made_once(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    folder = tmp_path / "not" / "there yet"

    assert [kept(folder, ["a", "b"], make) for _ in range(3)] == 3 * [{"number": 1}]


@pytest.mark.parametrize("other", [["a"], ["ab"], ["b", "a"], ["a", "c"], ["a", "b", ""]])
def test_it_is_made_anew_from_other_texts(tmp_path: Path, make: Callable[[], dict[str, Any]], other: list[str]) -> None:
    kept(tmp_path, ["a", "b"], make)

    assert kept(tmp_path, other, make) == {"number": 2}
    assert kept(tmp_path, ["a", "b"], make) == {"number": 1}


@pytest.mark.parametrize("damage", ["", "{", "\x00"])
def test_a_damaged_file_is_replaced(tmp_path: Path, make: Callable[[], dict[str, Any]], damage: str) -> None:
    kept(tmp_path, ["a"], make)
    (file,) = tmp_path.iterdir()
    file.write_text(damage)

    assert kept(tmp_path, ["a"], make) == kept(tmp_path, ["a"], make) == {"number": 2}


def test_a_place_that_is_no_folder_keeps_nothing_and_is_no_error(
    tmp_path: Path, make: Callable[[], dict[str, Any]]
) -> None:
    file = tmp_path / "file"
    file.write_text("")

    assert [kept(file, ["a"], make) for _ in range(2)] == [{"number": 1}, {"number": 2}]


def test_there_are_a_few_files_at_most(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    for number in range(2 * MOST_FILES):
        kept(tmp_path, [f"{number}"], make)

    assert len(list(tmp_path.iterdir())) == MOST_FILES


def test_a_failure_is_not_kept(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    def fail() -> dict[str, Any]:
        raise ValueError("not this time")

    with pytest.raises(ValueError, match="not this time"):
        kept(tmp_path, ["a"], fail)

    assert kept(tmp_path, ["a"], make) == {"number": 1}


def test_an_expanded_template_is_the_same_when_it_is_kept(project: Path, tmp_path: Path) -> None:
    """A translated template can be JSON: in a folder of its own, the second is read from the file of the first."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "template.yaml").write_text((project / "template.yaml").read_text())
    made = expand_template(tmp_path / "first" / "template.yaml")
    (tmp_path / "first" / ".local").rename(tmp_path / "second" / ".local")

    assert expand_template(tmp_path / "second" / "template.yaml") == made
    assert len(list((tmp_path / "second" / ".local" / "templates").iterdir())) == 1
