"""`enrollments tokens`: the rotation of a token, when it was last used, and what ends soon."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from enrollment.callers import TokenKind
from enrollment.errors import Unauthorized
from enrollment.store.actions import change
from enrollment.store.keys import token_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import NewToken, authenticate, create_token, note_use
from enrollments.tokens import tokens
from tests.fixtures import Store

type Run = Callable[..., Result]

WORKSPACE_ID = "de300000-0000-4000-8000-000000000001"
API_KEY = NewToken(TokenKind.API_KEY, [WORKSPACE_ID], name="Back office")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def run(store: Store) -> Run:
    def run_(name: str, *arguments: str) -> Result:
        return CliRunner().invoke(tokens, [name, "--table-name", store.table.name, *arguments], catch_exceptions=False)

    return run_


@pytest.fixture
def token(store: Store) -> str:
    return create_token(store.table, API_KEY)


@pytest.fixture
def token_id(token: str) -> str:
    return token.split("_")[1]


def test_a_rotation_prints_the_token_and_until_when_the_old_secret_is_good(
    store: Store, run: Run, token: str, token_id: str
) -> None:
    result = run("rotate", token_id)

    assert result.exit_code == 0, result.output
    for one in (token, result.stdout.strip()):
        assert authenticate(store.table, f"Bearer {one}", now()).principal.token_id == token_id
    tomorrow = f"{now() + timedelta(days=1):%Y-%m-%d %H:}"
    assert result.stderr.startswith(f"The old secret is good until {tomorrow}")
    assert " UTC. API Gateway keeps its decision about a token for at most AuthorizerCacheSeconds" in result.stderr


def test_the_old_secret_can_end_at_once(store: Store, run: Run, token: str, token_id: str) -> None:
    result = run("rotate", token_id, "--at-once")

    assert result.stderr.startswith("All former secrets have ended. API Gateway keeps its decision")
    with pytest.raises(Unauthorized, match="API Key not found"):
        authenticate(store.table, f"Bearer {token}", now())


def test_a_rotation_tells_scripts_all_there_is(run: Run, token_id: str) -> None:
    told = json.loads(run("rotate", token_id, "--keep-old-for", "2h", "--expires-in", "90d", "--json").stdout)

    (listed,) = json.loads(run("list", "--json").stdout)
    assert told["token"].startswith(f"seam_{token_id}_")
    assert (told["token_id"], told["expires_at"]) == (token_id, listed["expires_at"])
    assert told["former_secrets_until"] == listed["former_secrets_until"]
    assert datetime.fromisoformat(told["former_secrets_until"][0]) < now() + timedelta(hours=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at-once", "--keep-old-for", "2h"], "--at-once ends the old secret, and --keep-old-for keeps it"),
        (["--keep-old-for", "91d"], "--keep-old-for is 90d at most"),
        (["another"], "name one TOKEN_ID only"),
        (["seam_testDemo_secret"], "this is a whole token, which is secret; name only its ID"),
    ],
)
def test_a_wrong_rotation_is_a_clear_line_and_changes_nothing(
    store: Store, run: Run, token_id: str, options: list[str], message: str
) -> None:
    before = store.items()

    result = run("rotate", token_id, *options)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert store.items() == before


@pytest.mark.parametrize("arguments", [["rotate", "testNone"], ["revoke", "testNone", "--former-only"]])
def test_a_token_that_does_not_exist_is_a_clear_line(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert result.output == "Error: there is no such token; the IDs are listed by: enrollments tokens list\n"


def test_a_revoked_token_is_not_rotated(run: Run, token_id: str) -> None:
    run("revoke", token_id)

    result = run("rotate", token_id)

    assert result.output == "Error: the token was revoked; `enrollments tokens create` issues another one\n"


def test_former_secrets_can_be_ended(store: Store, run: Run, token: str, token_id: str) -> None:
    new = run("rotate", token_id).stdout.strip()

    result = run("revoke", token_id, "--former-only")

    assert result.output == f"The former secrets of {token_id} have ended.\n"
    assert authenticate(store.table, f"Bearer {new}", now())
    with pytest.raises(Unauthorized, match="API Key not found"):
        authenticate(store.table, f"Bearer {token}", now())


def test_the_list_says_when_a_token_was_last_used(store: Store, run: Run, token: str) -> None:
    note_use(store.table, authenticate(store.table, f"Bearer {token}", now()), datetime(2026, 1, 9, 5, 45, tzinfo=UTC))

    heading, line = run("list").stdout.splitlines()

    assert heading.index("LAST USED") == line.index("2026-01-09 05:45 UTC")


@pytest.mark.usefixtures("token")
def test_the_list_says_that_a_token_was_never_used(run: Run) -> None:
    heading, line = run("list").stdout.splitlines()

    assert line[heading.index("LAST USED") :].startswith("never ")


def test_the_list_says_if_uses_were_not_noted(store: Store, run: Run, token_id: str) -> None:
    store.table.transact({"token": change(token_key(token_id), remove=["is_use_noted"])})

    heading, line = run("list").stdout.splitlines()

    assert line[heading.index("LAST USED") :].startswith("not noted ")


def test_a_token_that_ends_within_a_month_is_reminded_of(run: Run, token_id: str) -> None:
    run("rotate", token_id, "--expires-in", "30d")

    (line,) = run("list").stderr.splitlines()

    assert line.startswith(f"{token_id} (Back office) ends in 29 days, at 20")
    assert line.endswith(
        f" UTC; to go on with another secret, run: enrollments tokens rotate {token_id} --expires-in 90d"
    )


@pytest.mark.parametrize(("duration", "left"), [("47h", "in a day"), ("23h", "within a day"), ("49h", "in 2 days")])
def test_a_reminder_says_how_many_days_are_left(run: Run, token_id: str, duration: str, left: str) -> None:
    run("rotate", token_id, "--expires-in", duration)

    assert f" ends {left}, at " in run("list").stderr


def test_nothing_is_said_of_a_token_that_ends_later_or_was_revoked(run: Run, token_id: str) -> None:
    run("rotate", token_id, "--expires-in", "31d")
    later = run("list").stderr
    run("rotate", token_id, "--expires-in", "1d")
    run("revoke", token_id)

    assert [later, run("list").stderr] == ["", ""]


def test_a_former_secret_that_is_still_used_is_reminded_of(store: Store, run: Run, token: str, token_id: str) -> None:
    run("rotate", token_id)
    note_use(store.table, authenticate(store.table, f"Bearer {token}", now()), now())

    (line,) = run("list").stderr.splitlines()

    assert line.startswith(f"{token_id} (Back office) was used with a former secret at 20")
    assert line.endswith(" UTC, so its owner has to change it before")


def test_a_former_secret_that_was_not_used_lately_is_not_reminded_of(
    store: Store, run: Run, token: str, token_id: str
) -> None:
    run("rotate", token_id, "--keep-old-for", "30d")
    note_use(store.table, authenticate(store.table, f"Bearer {token}", now()), now() - timedelta(days=8))

    assert run("list").stderr == ""


def test_scripts_get_no_former_secret_that_has_ended(store: Store, run: Run, token_id: str) -> None:
    ended = frozenset({f"{'0' * 64} {timestamp(now() - timedelta(minutes=1))}"})
    store.table.transact({"token": change(token_key(token_id), assign={"former_secrets": ended})})

    (listed,) = json.loads(run("list", "--json").stdout)

    assert (listed["former_secrets_until"], listed["last_used_at"]) == ([], None)
