"""Figures say at which commit they were measured, and whether the code has changed since."""

from collections.abc import Sequence

import pytest

from experiments.figures import (
    DOCUMENTS,
    PROJECT,
    Checkout,
    HasChanged,
    as_markdown,
    measured_at,
    record,
    with_ages,
    with_tables,
    without_ages,
)

EXPERIMENTS = [(document, name) for document, experiments in DOCUMENTS.items() for name in experiments]
FRESH = "Measured at `abc1234` (2026-11-24)."
OLD = "Measured at `abc1234` (2026-11-24); the code has changed since."
UNSURE = "Measured at `abc1234` with changes that were not committed (2026-11-24); the code may have changed since."


def document(*sentences: str) -> str:
    """Return a document with these figures, those of races first."""
    names = ("races", "faults")
    blocks = [
        f"<!-- figures: {name} -->\n\n**Title**\n\n{sentence}\n\n| a |\n\n<!-- end -->\n"
        for name, sentence in zip(names, sentences, strict=False)
    ]
    return "# Reliability\n\n" + "\n".join(blocks) + "\nMeasured by somebody.\n"


def changed(_: str, __: Sequence[str]) -> bool:
    return True


def unchanged(_: str, __: Sequence[str]) -> bool:
    return False


def unknown(_: str, __: Sequence[str]) -> None:
    return None


@pytest.mark.parametrize("found", [FRESH, OLD])
def test_figures_that_are_older_than_the_code_say_so(found: str) -> None:
    assert with_ages("reliability", document(found), changed) == document(OLD)


@pytest.mark.parametrize("found", [FRESH, OLD])
def test_figures_of_the_code_as_it_is_say_no_more_than_their_commit(found: str) -> None:
    assert with_ages("reliability", document(found), unchanged) == document(FRESH)


@pytest.mark.parametrize("found", [FRESH, OLD, UNSURE])
def test_a_clone_that_cannot_compare_changes_nothing(found: str) -> None:
    assert with_ages("reliability", document(found), unknown) == document(found)


@pytest.mark.parametrize("has_changed", [changed, unchanged])
def test_figures_of_what_was_not_committed_are_never_said_to_be_up_to_date(has_changed: HasChanged) -> None:
    assert with_ages("reliability", document(UNSURE), has_changed) == document(UNSURE)


def test_each_figure_is_compared_by_its_own_commit_and_paths() -> None:
    asked: list[tuple[str, Sequence[str]]] = []

    def note(commit: str, paths: Sequence[str]) -> bool:
        asked.append((commit, paths))
        return commit == "abc1234"

    other = FRESH.replace("abc1234", "def5678")
    aged = with_ages("reliability", document(FRESH, other), note)

    assert aged == document(OLD, other)
    races, faults = (DOCUMENTS["reliability"][name] for name in ("races", "faults"))
    assert asked == [("abc1234", races), ("def5678", faults)]


def test_figures_without_a_commit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"docs/reliability.md: races has no line `Measured at ...`"):
        with_ages("reliability", document("Measured yesterday."), changed)


def test_figures_of_no_experiment_are_refused() -> None:
    with pytest.raises(KeyError, match="goals"):
        with_ages("reliability", document(FRESH).replace("races", "goals"), changed)


def test_a_table_that_an_experiment_leaves_says_what_was_measured() -> None:
    table = record("races", "Races", [{"race": "a", "rounds": 1000}], at=Checkout("abc1234", is_clean=True))

    assert table.startswith("**Races**\n\nMeasured at `abc1234` (20")
    assert (
        with_ages("reliability", with_tables(document(OLD), {"races": table}), changed).count("has changed since") == 1
    )


def test_a_run_with_changes_that_are_not_committed_says_so() -> None:
    table = record("races", "Races", [{"race": "a"}], at=Checkout("abc1234", is_clean=False))

    assert "with changes that were not committed" in table
    assert "the code may have changed since." in table


def test_a_run_that_an_older_version_has_left_is_of_an_unknown_commit() -> None:
    table = as_markdown({"title": "Races", "date": "2026-11-23", "rows": [{"race": "a"}]})

    assert "Measured at `0000000` with changes that were not committed (2026-11-23)" in table


def test_what_a_figure_says_of_its_age_can_be_left_out() -> None:
    assert without_ages(document(OLD)) == document(FRESH)


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("is_old", [True, False])
def test_what_is_written_is_understood(is_clean: bool, is_old: bool) -> None:  # noqa: FBT001 - all four
    sentence = measured_at("abc1234", "2026-11-24", is_clean=is_clean, changed=is_old)

    assert with_ages("reliability", document(sentence), changed) in {document(OLD), document(UNSURE)}


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_a_document_has_each_of_its_figures_and_says_how_old_it_is(name: str, experiment: str) -> None:
    text = (PROJECT / "docs" / f"{name}.md").read_text()

    block = text.partition(f"<!-- figures: {experiment} -->")[2].partition("<!-- end -->")[0]

    assert "\nMeasured at `" in block


def test_no_document_says_it_of_figures_that_nobody_compares() -> None:
    folder = PROJECT / "docs"

    found = {
        str(path.relative_to(folder).with_suffix("")): path.read_text().count("\nMeasured at `")
        for path in folder.glob("**/*.md")
    }

    assert {name: count for name, count in found.items() if count} == {
        name: len(experiments) for name, experiments in DOCUMENTS.items()
    }


@pytest.mark.parametrize(("name", "experiment"), EXPERIMENTS)
def test_the_paths_that_a_figure_depends_on_are_there(name: str, experiment: str) -> None:
    paths = DOCUMENTS[name][experiment]

    assert paths
    assert [path for path in paths if not (PROJECT / path).exists()] == []
