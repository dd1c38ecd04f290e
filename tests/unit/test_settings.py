import pytest

from enrollment.settings import Settings


def test_without_origins_there_are_none() -> None:
    assert Settings.from_environment({"TABLE_NAME": "table"}) == Settings("table")


def test_origins_are_separated_by_commas() -> None:
    environment = {"TABLE_NAME": "table", "CORS_ORIGINS": "https://a.example.com, https://b.example.com,,"}

    assert Settings.from_environment(environment) == Settings(
        "table", ("https://a.example.com", "https://b.example.com")
    )


def test_a_function_without_a_table_does_not_start() -> None:
    with pytest.raises(KeyError, match="TABLE_NAME"):
        Settings.from_environment({})
