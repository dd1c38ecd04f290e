import pytest

from enrollment.settings import Settings, client_options, has_credentials_of_container


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


CREDENTIALS = {name: name.title() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}


def test_the_environments_credentials_and_no_proxy_are_the_clients() -> None:
    expected = {name.lower(): value for name, value in CREDENTIALS.items()}

    assert client_options(CREDENTIALS) == {"config": {"proxies": {}}, **expected}


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("empty", [True, False])
def test_botocore_looks_for_credentials_that_are_not_complete(missing: str, empty: bool) -> None:  # noqa: FBT001
    environment = {name: value for name, value in CREDENTIALS.items() if name != missing}

    assert client_options(environment | ({missing: ""} if empty else {})) == {"config": {"proxies": {}}}


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "no_proxy"])
def test_botocore_looks_for_a_proxy_where_there_may_be_one(name: str) -> None:
    assert client_options({name: "http://proxy.example.com"}) == {"config": {}}


ENDPOINT = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/credentials"}


@pytest.mark.parametrize(
    ("environment", "has_them"), [({}, False), (CREDENTIALS, False), (ENDPOINT, True), (ENDPOINT | CREDENTIALS, False)]
)
def test_credentials_come_from_an_endpoint_where_there_are_no_others(
    environment: dict[str, str],
    has_them: bool,  # noqa: FBT001
) -> None:
    assert has_credentials_of_container(environment) is has_them


def test_a_function_knows_its_stack() -> None:
    assert Settings.from_environment({"TABLE_NAME": "table", "STACK_NAME": "production"}).stack_name == "production"
