"""Figures are compared with the code by git, in whole clones, shallow ones, and where there is no git."""

import subprocess
from pathlib import Path

import pytest

from experiments.figures import UnknownCommit, checkout, has_changed

pytestmark = pytest.mark.setup


def git(folder: Path, *arguments: str) -> str:
    somebody = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    command = ["git", *somebody, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def commit(folder: Path, **texts: str) -> str:
    """Write files, commit them, and return the commit."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A change")
    return git(folder, "rev-parse", "--short=7", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def test_a_path_that_a_later_commit_changes_has_changed(repository: Path) -> None:
    measured = commit(repository, code="1", other="1")
    commit(repository, code="2")

    assert has_changed(measured, ["code"], repository) is True
    assert has_changed(measured, ["other"], repository) is False


def test_a_change_that_is_not_committed_counts(repository: Path) -> None:
    measured = commit(repository, code="1")
    (repository / "code").write_text("2")

    assert has_changed(measured, ["code"], repository) is True


def test_what_was_changed_back_has_not_changed(repository: Path) -> None:
    measured = commit(repository, code="1")
    commit(repository, code="2")
    commit(repository, code="1")

    assert has_changed(measured, ["code"], repository) is False


def test_a_path_that_is_new_has_changed(repository: Path) -> None:
    measured = commit(repository, other="1")
    commit(repository, code="1")

    assert has_changed(measured, ["code"], repository) is True


def test_a_shallow_clone_without_the_commit_cannot_tell(repository: Path, tmp_path: Path) -> None:
    measured = commit(repository, code="1")
    commit(repository, code="2")
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), "shallow")

    assert has_changed(measured, ["code"], tmp_path / "shallow") is None


def test_a_commit_that_the_whole_history_lacks_is_a_mistake(repository: Path) -> None:
    commit(repository, code="1")

    with pytest.raises(UnknownCommit, match="abc1234"):
        has_changed("abc1234", ["code"], repository)


def test_a_commit_that_was_not_merged_is_a_mistake(repository: Path) -> None:
    commit(repository, code="1")
    git(repository, "switch", "--quiet", "--create", "other")
    measured = commit(repository, code="2")
    git(repository, "switch", "--quiet", "-")

    with pytest.raises(UnknownCommit, match=measured):
        has_changed(measured, ["code"], repository)


def test_without_a_repository_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert has_changed("abc1234", ["code"], tmp_path) is None
    assert checkout(tmp_path) == ("0000000", False)


def test_without_git_nobody_can_tell(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = commit(repository, code="1")
    monkeypatch.setenv("PATH", "/nowhere")

    assert has_changed(measured, ["code"], repository) is None
    assert checkout(repository) == ("0000000", False)


def test_what_is_checked_out_is_clean_until_something_but_a_document_is_changed(repository: Path) -> None:
    (repository / "docs").mkdir()
    head = commit(repository, code="1")

    assert checkout(repository) == (head, True)
    (repository / "docs" / "speed.md").write_text("2")
    assert checkout(repository) == (head, True)
    (repository / "code").write_text("2")
    assert checkout(repository) == (head, False)
