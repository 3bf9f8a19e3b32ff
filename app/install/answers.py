"""`plimsoll setup`: the few questions, and what the answers make of the owner's files.

Answers are checked by the rules of `app.config` alone: each by its type and bounds, then the files they make
as a whole, before a byte is written. The key is held as a secret from the moment it was typed.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import asdict

from app import durable
from app.config import AccountStatement, Secret, Settings, load, parse_accounts
from app.config.loading import decode, read_text
from app.config.secrets import SECRET_LIMIT
from app.config.settings import LIVE_WORDS, MOST_ACCOUNT_ID, SIMULATOR, Symbol
from app.errors import SettingsError
from app.install.edit import Value, literal, with_values
from app.install.host import Door
from app.install.places import KEY_MODE, ROOT, USER, Places

VENUE = {
    "rest_url": "https://api.topstepx.com",
    "user_hub_url": "https://rtc.topstepx.com/hubs/user",
    "market_hub_url": "https://rtc.topstepx.com/hubs/market",
}
SIMULATED = {
    "rest_url": f"http://{SIMULATOR}",
    "user_hub_url": f"http://{SIMULATOR}/hubs/user",
    "market_hub_url": f"http://{SIMULATOR}/hubs/market",
}
SAMPLE_ACCOUNT = "[account.1001]"  # the statement that the sample shows
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")  # as TOML writes it
MOST = Decimal(10_000_000)  # USD, as in the account file
Usd: TypeAlias = Annotated[Decimal, Meta(description="USD", extra={"ge": -MOST, "le": MOST})]
STATED_TOGETHER = ("floor", "daily_loss_limit")  # judged with the answers before them


class Answers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is asked; as a file, its keys. Money in USD, in quotes or as a number.

    `api_key` may be left out where a key is there already. `board` "none" trades without a switch.
    """

    mode: Literal["simulate", "shadow", "live"]
    live: Annotated[str, Meta(max_length=40, description=f'"{LIVE_WORDS}" for mode = "live"')] = ""
    user_name: Annotated[str, Meta(min_length=1, max_length=100, description="login name")]
    api_key: Annotated[str, Meta(max_length=SECRET_LIMIT, description="one line")] = ""
    account: Annotated[int, Meta(ge=1, le=MOST_ACCOUNT_ID, description="account number")]
    start_balance: Usd
    floor: Usd
    as_of: date
    maximum_loss_limit: Usd
    daily_loss_limit: Annotated[str, Meta(max_length=20, description='USD in quotes, or "none"')]
    max_minis: Annotated[int, Meta(ge=1, le=1_000, description="minis; ten micros count as one")]
    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1, max_length=10)]
    board: Literal["owner", "guest", "serial", "none"]
    device: Annotated[str, Meta(max_length=100, description="serial port")] = "/dev/ttyHS1"
    resume: bool

    def __repr__(self) -> str:
        return "Answers(…)"

    __str__ = __repr__


class Question(NamedTuple):
    """`kind` says how the words become TOML: a text, a number as it stands, a list of words, yes or no."""

    name: str
    words: str
    kind: str = "text"
    usual: str = ""


QUESTIONS = (
    Question("mode", "simulate, shadow (decide, but send nothing) or live", usual="shadow"),
    Question("live", f"live trades real money; type {LIVE_WORDS}"),
    Question("user_name", "Your login name at the venue"),
    Question("api_key", "Your API key there (not shown)", "secret"),
    Question("account", "The account's number", "number"),
    Question("start_balance", "The balance it began with, USD", "number"),
    Question("maximum_loss_limit", "Its maximum loss limit, USD", "number"),
    Question("floor", "The balance at which the venue closes it (floor), USD", "number"),
    Question("as_of", "The trading day after whose close that floor held, such as 2026-11-20", "date"),
    Question("daily_loss_limit", "Its daily loss limit in USD, or none"),
    Question("max_minis", "Most contracts it may hold, in minis", "number"),
    Question("symbols", "What to follow and trade, such as ES NQ", "words", "ES"),
    Question(
        "board", "The board with the switch: owner or guest (UNO Q), serial (USB) or none", usual="owner"
    ),
    Question("device", "The board's serial port", usual="/dev/ttyACM0"),
    Question("resume", "May trading resume by itself after a restart", "yes", "no"),
)
SAMPLE: dict[str, Value] = {  # right answers around the one that is checked
    "mode": "shadow",
    "user_name": "a",
    "account": 1,
    "start_balance": 0,
    "floor": 0,
    "as_of": date(2026, 1, 1),
    "maximum_loss_limit": 1,
    "daily_loss_limit": "none",
    "max_minis": 1,
    "symbols": ("ES",),
    "board": "none",
    "resume": False,
}
Ask = Callable[[Question, str], str]  # question and what was wrong with the last answer; returns the words


def parse(text: str) -> Answers:
    """Answers from their TOML `text`. Raises SettingsError naming the key, never showing the api_key."""
    try:
        answers = decode(text, Path("/"), Answers)
    except SettingsError as error:
        if error.key == "api_key":  # the words about any other key may show its value
            raise SettingsError("api_key", "must be one line of text in quotes") from None
        raise
    if not answers.api_key.isprintable():
        raise SettingsError("api_key", "must be one line of text")
    return answers


def read(file: Path) -> Answers:
    """Answers from a file that only its owner may read, since it may hold the key. Raises SettingsError."""
    text = read_text(file)
    if file.stat().st_mode & 0o077:
        raise SettingsError("--answers", f"{file} is open to others; run: chmod 600 {file}")
    return parse(text)


def interview(ask: Ask, has_key: bool) -> Answers:
    """Ask each question until its answer is one. Raises what `ask` raises."""
    given: dict[str, str] = {}
    for question in QUESTIONS:
        if _is_asked(question.name, given):
            given[question.name] = _answer(question, ask, given, has_key)
    return parse("\n".join(f"{name} = {text}" for name, text in given.items()))


def _is_asked(name: str, given: dict[str, str]) -> bool:
    if name == "live":
        return given["mode"] == '"live"'
    return name != "device" or given["board"] == '"serial"'


def _answer(question: Question, ask: Ask, given: dict[str, str], has_key: bool) -> str:
    problem = ""
    while True:
        said = ask(question, problem).strip() or question.usual
        try:
            text = _toml(question, said)
            if question.name == "live" and said != LIVE_WORDS:
                raise SettingsError("live", f"type {LIVE_WORDS}, letter by letter, or Ctrl-C to leave")
            if question.name == "api_key" and not said and not has_key:
                raise SettingsError("api_key", "there is none yet: paste it here")
            _check(question.name, {**given, question.name: text})
            return text
        except SettingsError as error:
            problem = error.problem


def _toml(question: Question, said: str) -> str:
    """The words of an answer as TOML."""
    if question.kind == "words":
        return literal(tuple(said.replace(",", " ").upper().split()))
    if question.kind == "yes":
        if said.lower() not in ("y", "yes", "n", "no"):
            raise SettingsError(question.name, "type yes or no")
        return literal(said.lower().startswith("y"))
    if question.kind == "number":
        plain = said.replace(",", "").replace("$", "").strip()
        if not NUMBER.fullmatch(plain):
            raise SettingsError(question.name, "type a number")
        return plain
    if question.kind == "date":
        try:
            return literal(date.fromisoformat(said))
        except ValueError:
            raise SettingsError(question.name, "type a date such as 2026-11-20") from None
    return literal(said)


def _check(name: str, given: dict[str, str]) -> None:
    """One answer by its type and bounds, and with those before it where they are bound together."""
    others = {key: literal(value) for key, value in SAMPLE.items()}
    answers = parse("\n".join(f"{key} = {text}" for key, text in {**others, **given}.items()))
    if name in STATED_TOGETHER:
        parse_accounts(_accounts("", answers))


class Plan(NamedTuple):
    """The files that the answers make, whole; `key` None = the one that is there stays."""

    settings: str
    accounts: str
    key: Secret | None
    checked: Settings
    changes: tuple[str, ...]


def plan(answers: Answers, places: Places) -> Plan:
    """What the answers make of the owner's files, checked as the service will check it. Raises
    SettingsError; nothing was written.
    """
    old = read_text(places.settings)
    text = old
    for section, values in _settings(answers):
        text = with_values(text, section, values)
    checked = load(text, places.etc)
    accounts = _accounts(read_text(places.accounts) if places.accounts.exists() else "", answers)
    stated = parse_accounts(accounts)
    if stated.of(answers.account) is None:
        raise SettingsError("account", f"{answers.account} did not reach the account file")
    if not answers.api_key and not has_key(places):
        raise SettingsError("api_key", "is missing, and there is none yet")
    key = Secret(answers.api_key) if answers.api_key else None
    return Plan(text, accounts, key, checked, tuple(_changes(answers, places)))


def has_key(places: Places) -> bool:
    """Whether a key was stored before."""
    try:
        return places.key.stat().st_size > 0
    except OSError:
        return False


def write(made: Plan, places: Places, host: Door) -> None:
    """The files, each whole: the key first, the settings that need it last. Raises OSError."""
    if made.key is not None:
        durable.write(places.key, f"{made.key.reveal()}\n".encode(), KEY_MODE)
        host.own(places.key, (0, 0), f"{ROOT}:{ROOT}")
    durable.write(places.accounts, made.accounts.encode())
    before = places.settings.stat()  # its readers are the installer's business, and stay
    durable.write(places.settings, made.settings.encode(), stat.S_IMODE(before.st_mode))
    if host.live:
        host.own(places.settings, (before.st_uid, before.st_gid), f"{ROOT}:{USER}")


def _settings(answers: Answers) -> Iterator[tuple[str, dict[str, Value]]]:
    yield "", {"mode": answers.mode, "live": answers.live if answers.mode == "live" else ""}
    venue = SIMULATED if answers.mode == "simulate" else VENUE
    yield (
        "topstepx",
        {
            **venue,
            "user_name": answers.user_name,
            "accounts": (answers.account,),
            "symbols": answers.symbols,
        },
    )
    board: dict[str, Value] = {"required": answers.board != "none", "resume": answers.resume}
    if answers.board != "none":
        board["mode"] = answers.board
        board["device"] = answers.device
    yield "board", board


def _accounts(text: str, answers: Answers) -> str:
    """The account file with this account's statement; those of other accounts stay as they are."""
    section = f"account.{answers.account}"
    if text.count("[account.") == 1 and SAMPLE_ACCOUNT in text:
        text = text.replace(SAMPLE_ACCOUNT, f"[{section}]")
    told = asdict(answers)
    values: dict[str, Any] = {
        name: str(told[name]) if isinstance(told[name], Decimal) else told[name]
        for name in AccountStatement.__struct_fields__
        if name in told
    }
    values["locks_at"] = str(answers.start_balance)
    return with_values(text, section, values)


def _changes(answers: Answers, places: Places) -> Iterator[str]:
    settings, accounts, key = map(places.shown, (places.settings, places.accounts, places.key))
    board = f"board {answers.board}"
    if answers.board == "none":
        board = "no board, and no switch protects the account"
    yield f"{settings}: mode {answers.mode}, user {answers.user_name}, account {answers.account}"
    yield f"{settings}: {' '.join(answers.symbols)}; {board}"
    yield f"{settings}: after a restart trading {'resumes by itself' if answers.resume else 'waits for you'}"
    yield f"{accounts}: start {answers.start_balance}, floor {answers.floor} as of {answers.as_of}"
    daily = f"{answers.daily_loss_limit} a day, {answers.max_minis} minis"
    yield f"{accounts}: loss limits {answers.maximum_loss_limit} and {daily}"
    yield f"{key}: {'the key you gave, readable by root alone' if answers.api_key else 'stays'}"
