"""Trying a connector: a right one passes, each flaw is found and named, and nothing is left of it."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from enrollment.outbound.https import Attempt, post
from enrollments.connectors import trial
from enrollments.connectors.asking import Asker
from enrollments.connectors.findings import Finding, Kind, Report
from enrollments.connectors.trial import Options, Trial
from enrollments.connectors.trying import try_connector
from enrollments.main import main
from tests.scripted_connector import SECRET, ScriptedConnector

pytestmark = pytest.mark.long

type Run = Callable[..., Result]
type Tried = tuple[ScriptedConnector, list[Finding], bool]

# What is planted, and what the trial must say of it.
FLAWS = {
    "signatures are not checked": r"a signature by another secret: status 200 came, but 401 must come",
    "missing headers are a 400": r"no signature: status 400 came, but 401 must come",
    "wrong signatures are a 403": r"a webhook-id that was changed: status 403 came, but 401 must come",
    "old is accepted": r"a timestamp of 10 minutes ago, rightly signed: status 200 came, but 401",
    "future is accepted": r"a timestamp in 10 minutes, rightly signed: status 200 came, but 401",
    "only one signature is looked at": r"two signatures, the second by the right secret: status 401 came, but a 200",
    "unknown properties are refused": r"manager.check with unknown properties: status 400 came",
    "unknown type is a 200": r"an unknown type: status 200 came, but a 400 must come",
    "unknown type is a 500": r"an unknown type: status 500 came, but a 400 must come",
    "no JSON is a 500": r"a body that is not JSON: status 500 came, but a 400 must come",
    "a list is a 401": r"no object: status 401 came, but that pauses the whole manager",
    "keeps_validity is a text": r'manager.check: keeps_validity is the text "yes", but it must be true or false',
    "an answer is not JSON": r"phone.register: what came is not JSON",
    "an answer is empty": r"phone.register: what came is not JSON",
    "an answer is a list": r"phone.register: what came is not a JSON object",
    "an answer is too long": r"phone.register: more than 256 kB came",
    "a state is unknown": r'phone.register: state is the text "waiting", but it must be one of pending, invited',
    "app is a text": r"phone.register: app is a text, but it must be an object",
    "a time has no zone": r'app_expires_at is the text "2027-01-01T00:00:00", but it must be a time with a time zone',
    "a memo is too large": r"memo is an object of 30\d\d bytes, but it must be an object of at most 2 kB",
    "check_after_s is a text": r'check_after_s is the text "1", but it must be a number',
    "each register invites": r"the same phone.register again, with unknown properties: app is another one",
    "without a memo nothing is found": r"the same phone.register again, with memo null: status 500 came",
    "endpoint_id is missing": r"the phone is active without an endpoint_id",
    "unknown is left out": r"phone.status of an unknown credential: credentials has 0 answers about a credential",
    "credentials are told twice": r"credentials has 2 answers about a credential",
    "an unknown phone is a 404": r"phone.status: status 404 came, but a 200 must come",
    "acs_credential_id is another one": r"credential.issue: acs_credential_id is another one",
    "a credential is invited": r"credential.issue: state is invited, but a credential is never invited",
    "there is no lock": r"credential.issue twice at the same moment: manager_credential_id is another one than before",
    "ends_at is another one": r"ends_at is 2099-01-01T00:00:00.000Z, but it must be .*, as it was asked for",
    "each issue issues": r"the same credential.issue again: manager_credential_id is another one than before",
    "versions are ignored": r"with version 2 and another ends_at: .*version is 1, but it must be 2",
    "a late version counts": r"credential.issue with version 1, late: version is 1, but it must be 2",
    "revoke does nothing": r"credential.revoke: active came, but gone must come",
    "a second revoke is a 404": r"the same credential.revoke again: status 404 came",
    "a late issue issues": r"credential.issue of the revoked credential, late: active came, but gone must come",
    "an unknown pool is a 500": r"credential.issue from an unknown pool: status 500 came",
    "an unknown pool is the usual one": r"credential.issue from an unknown pool: active came, but failed must come",
    "failures have no reason": r"from the pool visitor: state is failed without a reason",
    "attempt 2 is refused": r"the same with attempt 2, then with attempt 1 late: failed \(rejected\) came",
    "deregister does nothing": r"phone.deregister of the first phone, .*: active came, but gone must come",
    "deregister leaves credentials": r"phone.status of the removed phone and its credential: active came",
    "deregister removes the person's other phones": r"the second phone and its credential: gone came, but what was not",
    "a second deregister is a 404": r"phone.deregister of it again: status 404 came",
    "a late register invites": r"phone.register of the removed phone, late: invited came, but gone must come",
    "a late issue for a removed phone is a 500": r"credential.issue for the removed phone, late: status 500 came",
    "unknown credentials are not remembered": r"a credential that never was, then its credential.issue: active came",
    "a phone that never was gets a credential": r"credential.issue: active came, but failed or gone must come",
    "unknown phones are not remembered": r"phone.register after that: invited came, but gone must come",
    "a person without an address is a 500": r"phone.register: status 500 came",
}


@pytest.fixture
def tried() -> Callable[[str], Tried]:
    """Try a connector in which a flaw is planted."""

    def try_it(flaw: str = "") -> Tried:
        connector, report = ScriptedConnector(flaw), Report(lambda _: None)
        with connector.serving() as url:
            send = partial(post, on_loopback=True, longest_seconds=2, most_bytes=256 * 1024)
            asker = Asker(url, SECRET, post=send, patience=3, sleep=lambda _: None)
            passed = try_connector(Trial(asker, report, Options(patience=3), sleep=lambda _: None))
        return connector, report.findings, passed

    return try_it


@pytest.fixture(scope="module")
def headings(project: Path) -> set[str]:
    """The places in the document, as links name them."""
    text = (project / "docs" / "connector.md").read_text()
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in found}


def texts(findings: list[Finding], kind: Kind) -> list[str]:
    return [finding.text for finding in findings if finding.kind is kind]


def test_a_right_connector_passes_and_nothing_is_left_of_it(tried: Callable[[str], Tried]) -> None:
    connector, findings, passed = tried("")

    assert {finding.kind for finding in findings} == {Kind.GOOD}
    assert passed
    assert (connector.phones, connector.credentials) == ({}, {})
    assert connector.pools == {"standard": 9, "visitor": 0}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_is_found_and_named_with_the_place_in_the_document(
    tried: Callable[[str], Tried], flaw: str, headings: set[str]
) -> None:
    _, findings, passed = tried(flaw)

    named = [
        re.search(rf"{FLAWS[flaw]}.* \(docs/connector\.md#([\w-]+)\)$", text) for text in texts(findings, Kind.BAD)
    ]
    places = {match[1] for match in named if match is not None}

    assert len(places) >= 1
    assert places <= headings
    assert not passed


@pytest.mark.parametrize(
    "trait", ["only what is required is answered", "a phone has one credential", "it is busy now and then"]
)
def test_a_connector_that_can_or_tells_less_than_others_passes(tried: Callable[[str], Tried], trait: str) -> None:
    _, findings, passed = tried(trait)

    assert texts(findings, Kind.BAD) == []
    assert passed


def test_a_connector_that_refuses_phones_is_not_wrong_but_the_trial_is_incomplete(
    tried: Callable[[str], Tried],
) -> None:
    _, findings, passed = tried("phones are refused")

    assert texts(findings, Kind.BAD) == []
    assert texts(findings, Kind.LEFT_OUT)[0] == (
        "phone.register: the credential manager refuses the phone: phone_unsupported: Too old"
    )
    assert not passed


def test_without_an_active_phone_what_needs_one_is_left_out(tried: Callable[[str], Tried]) -> None:
    connector, findings, passed = tried("nobody accepts")

    assert texts(findings, Kind.BAD) == []
    assert texts(findings, Kind.LEFT_OUT)[:2] == [
        "phone.status, until the phone is active: nobody accepts the invitation; accept it on a test phone, and wait "
        "longer (--patience)",
        "all that needs an active phone: there is none",
    ]
    assert not passed
    assert connector.phones == {}


def test_what_was_made_up_is_removed_after_an_interruption() -> None:
    connector, report = ScriptedConnector(), Report(lambda _: None)

    def send(url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        answer = post(url, body, headers, on_loopback=True, longest_seconds=2, most_bytes=256 * 1024)
        if b'"version":2' in body:
            raise KeyboardInterrupt
        return answer

    with connector.serving() as url:
        asker = Asker(url, SECRET, post=send, patience=3, sleep=lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            try_connector(Trial(asker, report, Options(patience=3), sleep=lambda _: None))

    assert "credential.issue" in connector.asked
    assert (connector.phones, connector.credentials) == ({}, {})


# ----------------------------------------------------------------------------------------------------------- Command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``enrollments connectors try`` without waiting between requests."""
    monkeypatch.setattr(trial, "_SHORTEST_WAIT", 0.01)
    monkeypatch.setattr(trial, "_USUAL_WAIT", 0.01)
    monkeypatch.setattr(trial, "_LONGEST_WAIT", 0.01)
    arguments = ["connectors", "try", "--patience", "3"]
    return lambda url, secret=SECRET: CliRunner().invoke(main, [*arguments, url], env={"CONNECTOR_SECRET": secret})


def test_the_command_ends_with_a_sentence_and_succeeds(run: Run) -> None:
    with ScriptedConnector().serving() as url:
        result = run(url)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith(
        " good, 0 bad, 0 left out. The connector does what docs/connector.md says."
    )


def test_the_command_fails_if_something_is_wrong(run: Run) -> None:
    with ScriptedConnector("revoke does nothing").serving() as url:
        result = run(url)

    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].endswith("The connector does not do yet what docs/connector.md says.")


def test_neither_the_secret_nor_what_the_app_needs_is_printed(run: Run) -> None:
    with ScriptedConnector("it tells its secret").serving() as url:
        result = run(url)

    assert "whsec_…" in result.output
    assert SECRET not in result.output
    assert "secret-of-the-app" not in result.output


def test_a_wrong_secret_is_told_and_nothing_more_is_tried(run: Run) -> None:
    connector = ScriptedConnector()
    with connector.serving() as url:
        result = run(url, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

    assert result.exit_code == 1
    assert "status 401 came, but a right signature must be accepted; is it the connector's secret?" in result.stdout
    assert "Signatures" not in result.stdout


def test_a_connector_that_is_not_there_is_told(run: Run) -> None:
    with ScriptedConnector().serving() as url:
        pass

    result = run(url)

    assert result.exit_code == 1
    assert "manager.check: nobody answers there, or the connection was cut" in result.stdout


@pytest.mark.parametrize(
    ("url", "secret", "because"),
    [
        ("ftp://127.0.0.1/", SECRET, "Error: the URL is not allowed: Must be an https URL\n"),
        ("http://10.0.0.1/", SECRET, "Error: the URL is not allowed: Must be an https URL\n"),
        (
            "http://127.0.0.1:1/",
            "whsec_~",
            "Error: the secret is none; it begins with whsec_, and the rest is base64\n",
        ),
        (
            "http://127.0.0.1:1/",
            "nothing",
            "Error: the secret is none; it begins with whsec_, and the rest is base64\n",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(run: Run, url: str, secret: str, because: str) -> None:
    result = run(url, secret)

    assert (result.exit_code, result.stderr) == (1, because)


def test_the_schema_is_printed_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()

    before = CliRunner().invoke(main, ["connectors", "schema", "--check"])
    CliRunner().invoke(main, ["connectors", "schema", "--write"])
    after = CliRunner().invoke(main, ["connectors", "schema", "--check"])

    assert (before.exit_code, after.exit_code) == (1, 0)
    assert before.stderr == "Error: docs/connector.schema.json is not what the code says; renew it: make openapi\n"
