"""The few questions: asked until answered, judged by the settings' own rules, written whole or not at all."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from app.config import load_accounts, load_file
from app.errors import SettingsError
from app.install import answers
from app.install.answers import QUESTIONS, Question
from app.install.host import Image
from app.install.places import Places
from tests.guards import ROOT

KEY = "hunter2-hunter2"
FILE = f"""\
mode = "shadow"
user_name = "owner"
api_key = "{KEY}"
account = 4711
start_balance = "50000"
floor = 48000
as_of = 2026-11-20
maximum_loss_limit = "2000"
daily_loss_limit = "none"
max_minis = 5
symbols = ["ES", "NQ"]
board = "none"
resume = true
"""
TYPED = {
    "mode": "shadow",
    "user_name": "owner",
    "api_key": KEY,
    "account": "4711",
    "start_balance": "50,000",
    "floor": "$48,000",
    "as_of": "2026-11-20",
    "maximum_loss_limit": "2000",
    "daily_loss_limit": "none",
    "max_minis": "5",
    "symbols": "es, nq",
    "board": "none",
    "resume": "yes",
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path)
    found.key.parent.mkdir(parents=True)
    for name in ("plimsoll.toml", "account.toml"):
        (found.etc / name).write_text((ROOT / "systemd" / name).read_text())
    found.key.touch(mode=0o600)
    return found


def typed(more: dict[str, list[str]], asked: list[str] | None = None) -> answers.Ask:
    """Types the answers of TYPED; those of `more` first."""

    def ask(question: Question, problem: str) -> str:
        if asked is not None:
            asked.append(f"{question.name} {problem}".strip())
        waiting = more.get(question.name)
        return waiting.pop(0) if waiting else TYPED[question.name]

    return ask


def test_a_file_and_a_person_say_the_same(places: Places) -> None:
    asked: list[str] = []
    by_hand = answers.interview(typed({}, asked), has_key=False)
    by_file = answers.parse(FILE)
    assert answers.plan(by_hand, places)[:2] == answers.plan(by_file, places)[:2]
    assert asked == [question.name for question in QUESTIONS if question.name in TYPED]


def test_writes_what_the_service_reads(places: Places) -> None:
    answers.write(answers.plan(answers.parse(FILE), places), places, Image())
    settings, accounts = load_file(places.settings), load_accounts(places.accounts)
    assert settings.mode == "shadow" and settings.topstepx.rest_url == answers.VENUE["rest_url"]
    assert settings.topstepx.accounts == (4711,) and settings.topstepx.symbols == ("ES", "NQ")
    assert not settings.board.required and settings.board.resume
    stated = accounts.of(4711)
    assert stated.floor == 48000 and stated.locks_at == 50000 and set(accounts.account) == {4711}
    assert places.key.read_text() == f"{KEY}\n" and stat.S_IMODE(places.key.stat().st_mode) == 0o600
    assert "# Most contracts in one symbol" in places.settings.read_text()
    assert sorted(path.name for path in places.etc.iterdir()) == [
        "account.toml",
        "credentials",
        "plimsoll.toml",
    ]


def test_keeps_who_may_read_the_settings(places: Places) -> None:
    """The installer decides that: a machine whose units are older would else be locked out."""
    for mode in (0o644, 0o640):
        places.settings.chmod(mode)
        answers.write(answers.plan(answers.parse(FILE), places), places, Image())
        assert stat.S_IMODE(places.settings.stat().st_mode) == mode


def test_a_second_time_keeps_key_comments_and_other_accounts(places: Places) -> None:
    answers.write(answers.plan(answers.parse(FILE), places), places, Image())
    before = places.settings.read_text()
    again = re.sub("api_key.*\n", "", FILE)
    made = answers.plan(answers.parse(again), places)
    assert made.key is None and made.settings == before
    other = answers.plan(answers.parse(again.replace("4711", "4712")), places)
    answers.write(other, places, Image())
    assert set(load_accounts(places.accounts).account) == {4711, 4712}
    assert places.key.read_text() == f"{KEY}\n"


def test_never_shows_the_key(places: Places) -> None:
    given = answers.parse(FILE)
    made = answers.plan(given, places)
    assert KEY not in "".join(made.changes) + repr(given) + repr(made.key) + str(given) + repr(made)
    for wrong in (f'["{KEY}"]', f'{{ a = "{KEY}" }}', f'"{KEY}\\n{KEY}"', f'"{KEY}'):
        with pytest.raises(SettingsError) as error:
            answers.parse(FILE.replace(f'"{KEY}"', wrong))
        assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("name", "wrong", "problem"),
    [
        ("mode", "paper", '"live" or "shadow" or "simulate"'),
        ("user_name", "", "a text in quotes"),
        ("api_key", "", "paste it here"),
        ("account", "none", "type a number"),
        ("account", "0", "from 1 to 2147483647"),
        ("start_balance", "1e5", "type a number"),
        ("start_balance", "99999999", "10000000"),
        ("floor", "47999", "is below start_balance - maximum_loss_limit"),
        ("floor", "50001", "is above"),
        ("as_of", "20.11.2026", "type a date such as 2026-11-20"),
        ("floor", "0.5.5", "type a number"),
        ("as_of", "today", "type a date"),
        ("daily_loss_limit", "0.5", "USD in quotes"),
        ("max_minis", "0", "from 1 to 1000"),
        ("symbols", "ES/NQ", "exchange ticker"),
        ("board", "usb", '"serial"'),
        ("resume", "maybe", "yes or no"),
    ],
)
def test_asks_again_with_the_rule_that_was_broken(name: str, wrong: str, problem: str) -> None:
    asked: list[str] = []
    given = answers.interview(typed({name: [wrong]}, asked), has_key=False)
    assert given.account == 4711
    again = [line for line in asked if line.startswith(f"{name} ")]
    assert len(again) == 1 and problem in again[0]


def test_live_must_be_typed_letter_by_letter(places: Places) -> None:
    asked: list[str] = []
    script = {"mode": ["live"], "live": ["yes", "i accept", "I accept"]}
    given = answers.interview(typed(script, asked), has_key=False)
    assert given.live == "I accept" and len([line for line in asked if line.startswith("live")]) == 3
    assert answers.plan(given, places).checked.mode == "live"
    with pytest.raises(SettingsError, match="real money"):
        answers.plan(answers.parse(FILE.replace('"shadow"', '"live"')), places)


def test_asks_for_the_port_of_a_board_that_has_one(places: Places) -> None:
    given = answers.interview(typed({"board": ["serial"], "device": [""]}), has_key=False)
    board = answers.plan(given, places).checked.board
    assert board.required and board.mode == "serial" and str(board.device) == "/dev/ttyACM0"


def test_goes_back_to_the_simulator(places: Places) -> None:
    answers.write(answers.plan(answers.parse(FILE), places), places, Image())
    answers.write(answers.plan(answers.parse(FILE.replace("shadow", "simulate")), places), places, Image())
    assert load_file(places.settings).topstepx.rest_url == answers.SIMULATED["rest_url"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("floor = 48000", "floor = 1", "below start_balance"),
        ("account = 4711", "account = 0", "whole number"),
        (f'api_key = "{KEY}"\n', "", "there is none yet"),
        ("resume = true", "resume = 1", "true or false"),
        ("resume = true", "resume = true\ncolour = 1", "is unknown"),
        ("max_minis = 5\n", "", "is missing"),
        ("as_of = 2026-11-20", 'as_of = "soon"', "a date"),
        ("account = 4711", "account = ", "not TOML"),
    ],
)
def test_refuses_a_wrong_file_and_writes_nothing(places: Places, old: str, new: str, problem: str) -> None:
    before = places.settings.read_text(), places.accounts.read_text(), places.key.read_text()
    with pytest.raises(SettingsError, match=problem):
        answers.plan(answers.parse(FILE.replace(old, new)), places)
    assert before == (places.settings.read_text(), places.accounts.read_text(), places.key.read_text())


def test_refuses_a_file_that_others_may_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text(FILE)
    file.chmod(0o644)
    with pytest.raises(SettingsError, match=r"open to others; run: chmod 600"):
        answers.read(file)
    file.chmod(0o600)
    assert answers.read(file).account == 4711


def test_keeps_a_file_it_cannot_edit(places: Places) -> None:
    places.settings.write_text('topstepx = { user_name = "a" }\n')
    with pytest.raises(SettingsError, match="only you can edit"):
        answers.plan(answers.parse(FILE), places)
