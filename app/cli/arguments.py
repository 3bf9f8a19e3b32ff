"""The command line's grammar: commands, options, help. What a command does lives in the modules beside."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

READS = {
    "status": "trading state and why, account, today's P&L",
    "orders": "live orders, then the day's others",
    "positions": "open positions with their stop at the venue",
    "trades": "executions, newest first",
}
CHANGES = {
    "halt": "stop entries now; stops and targets stay (works without a service too)",
    "flatten": "close every position, cancel everything, lock",
    "rearm": "allow trading again after a halt",
    "accept-difference": "accept that books and venue differ, with a reason",
}
BOARD = {
    "status": "its session, contacts and output",
    "test": "open the switch and see that trading halts; needs you at the switch",
    "arm": "allow trading again, and wait until the board's output is on",
    "switch": "move the switch of a virtual board, as in the demo",
}
# Commands with options of their own: the module has add_arguments(parser) and run(arguments) -> int.
DELEGATED = {
    "simulate": ("app.simulator.main", "serve the venue's API with a simulated market"),
    "replay": ("app.backtest.main", "run a strategy over a recorded file"),
    "update": ("app.cli.updating", "check for releases, install them, go back"),
    "release": ("app.cli.releasing", "sign releases and publish them (a developer's)"),
}
PORT_MAX = 65_535  # TCP's own
EPILOG = "exit codes: 0 done, 1 failed, 2 usage or settings, 3 refused by a rule"

Parser: TypeAlias = argparse.ArgumentParser
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Options: TypeAlias = Callable[[Parser], None]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command; its `run` attribute executes it. Exits 2 with usage, 0 for help."""
    parser = argparse.ArgumentParser(prog="plimsoll", description="A trading appliance.", epilog=EPILOG)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in READS.items():
        _reading(commands, name, text)
    for name, text in CHANGES.items():
        _changing(commands, name, text)
    _native(commands)
    _board(commands)
    _services(commands)
    _owner(commands)
    _machine(commands)
    for name, (module, text) in DELEGATED.items():
        own = commands.add_parser(name, help=text, description=text, epilog=EPILOG)
        if name in argv:  # its module is imported only for the command itself
            _delegate(own, module)
    return parser.parse_args(argv)


def _add(commands: Commands, name: str, text: str, run: tuple[str, str], *options: Options) -> Parser:
    """One more command: `run` is the module and the function that execute it, `options` what it shares."""
    parser = commands.add_parser(name, help=text, description=text, epilog=EPILOG)
    for add in options:
        add(parser)
    parser.set_defaults(run=_lazily(*run))
    return parser


def _passphrase(parser: argparse.ArgumentParser) -> None:
    text = "its passphrase, one line, readable by you alone (default: backup.passphrase_file of the settings)"
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help=text)


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _config(parser: Parser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")


def _root(parser: Parser) -> None:
    parser.add_argument("--root", type=Path, metavar="DIR", help="a system's folder instead of this machine")


def _places(parser: Parser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="its data folder (default: as in FILE)")


def _reading(commands: Commands, name: str, text: str) -> None:
    parser = _add(commands, name, text, ("app.cli.client", "read"), _places, _json)
    parser.set_defaults(command=name)


def _changing(commands: Commands, name: str, text: str) -> None:
    parser = _add(commands, name, text, ("app.cli.client", "change"), _places, _json)
    reason = parser.add_mutually_exclusive_group(required=name == "accept-difference")
    reason.add_argument("reason", nargs="*", default=[], metavar="REASON", help="kept in the audit")
    reason.add_argument("--why", default="", metavar="TEXT", help="the same, as an option")
    parser.set_defaults(command=name)


def _native(commands: Commands) -> None:
    text = "end the exception of a module that runs on its pure twin (works without a service too)"
    native = _add(commands, "native", text, ("app.cli.client", "clear_exception"), _places, _json)
    native.add_argument("what", choices=["clear"])
    native.add_argument("module", metavar="MODULE", help="as plimsoll status names it")
    native.add_argument("reason", nargs="+", metavar="REASON", help="kept in the audit")
    native.set_defaults(command="native-clear")


def _board(commands: Commands) -> None:
    text = "the board with the kill switch"
    board = commands.add_parser("board", help=text, description=text, epilog=EPILOG)
    whats = board.add_subparsers(metavar="WHAT", required=True)
    for name, text in BOARD.items():
        what = _add(whats, name, text, ("app.cli.board", name), _places, _json)
        if name == "arm":
            what.add_argument("reason", nargs="*", default=[], metavar="REASON", help="kept in the audit")
        if name == "switch":
            what.add_argument("to", choices=("open", "closed"))
    text = "write firmware onto the UNO Q's microcontroller; trading is halted first"
    flash = _add(whats, "flash", text, ("app.cli.firmware", "flash"), _places)
    which = flash.add_mutually_exclusive_group()
    which.add_argument("--image", type=Path, metavar="FILE", help="one that exists, artefact.json beside it")
    which.add_argument("--back", action="store_true", help="the one before the current one")
    text = "bring the UNO Q's firmware to this release's, if that may be done now (what a timer starts)"
    renew = _add(whats, "renew", text, ("app.cli.renewing", "renew"), _places)
    renew.add_argument("--home", type=Path, metavar="DIR", help="where releases lie")
    renew.add_argument("--memory", type=Path, metavar="DIR", help="what the updater remembers")


def _services(commands: Commands) -> None:
    text = "run the service (what systemd starts)"
    _add(commands, "run", text, ("app.cli.service", "run"), _config)
    text = "show a page that says why nothing is traded, and trade nothing"
    safe = _add(commands, "safe", text, ("app.cli.service", "safe"), _config)
    safe.add_argument("--reason", required=True, metavar="TEXT", help="what the page and plimsoll status say")
    text = "run the appliance against its own simulator"
    demo = _add(commands, "demo", text, ("app.cli.service", "demo"))
    demo.add_argument(
        "--home", type=Path, metavar="DIR", help="its folder (default: $PLIMSOLL_HOME or ~/.local/...)"
    )
    demo.add_argument("--port", type=_port, default=8080, help="of the page; the next free one if taken")
    demo.add_argument("--keep", action="store_true", help="keep the journal of the last demo")


def _owner(commands: Commands) -> None:
    text = "try the messages that tell you of a halt: plimsoll notify test"
    notify = _add(commands, "notify", text, ("app.cli.notifying", "run"), _config)
    notify.add_argument("what", choices=("test",), help="send one message to notify.url now")
    text = "copy the journal, also while the service runs; keeps 7 days and 4 weeks"
    backup = _add(commands, "backup", text, ("app.cli.backups", "back_up"), _places, _passphrase, _json)
    backup.add_argument("--to", type=Path, metavar="DIR", help="where (default: backups in the data folder)")
    backup.add_argument(
        "--encrypt", action="store_true", help="seal it with a passphrase (asked for, unless a file is named)"
    )
    backup.add_argument("--list", action="store_true", help="only name the backups there are")
    text = "put a backup in the place of the journal; trading stays halted until you re-arm"
    restore = _add(commands, "restore", text, ("app.cli.backups", "restore"), _places, _passphrase, _json)
    restore.add_argument("backup", type=Path, metavar="BACKUP", help="a folder that plimsoll backup made")
    text = "set the password of the page"
    passwd = _add(commands, "passwd", text, ("app.cli.password", "run"), _places)
    how = passwd.add_mutually_exclusive_group()
    how.add_argument("--stdin", action="store_true", help="read it from standard input, one line")
    how.add_argument("--code", action="store_true", help="show a one-time code to set the first on the page")


def _machine(commands: Commands) -> None:
    module = "app.cli.installing"
    text = "put this release onto the machine and start it at every boot; run it from the release's file"
    install = _add(commands, "install", text, (module, "install"), _root)
    install.add_argument(
        "--artifact", type=Path, metavar="FILE", help="the release's file (default: this one)"
    )
    text = "take it off the machine; data, settings and backups stay"
    uninstall = _add(commands, "uninstall", text, (module, "uninstall"), _root)
    uninstall.add_argument("--purge", action="store_true", help="delete data, settings and backups too")
    uninstall.add_argument("--yes", action="store_true", help="do not ask before --purge")
    uninstall.add_argument("--with-open-positions", action="store_true", help="even while a position is open")
    text = "answer the few questions about your account, or take a file with the answers"
    setup = _add(commands, "setup", text, (module, "setup"), _root)
    setup.add_argument(
        "--answers", type=Path, metavar="FILE", help="TOML, readable by you alone; asks nothing"
    )
    setup.add_argument("--yes", action="store_true", help="do not ask before writing")
    text = "check everything about the installed appliance, and say how to mend it"
    _add(commands, "doctor", text, (module, "examine"), _root, _json)


def _delegate(parser: Parser, module: str) -> None:
    own = import_module(module)
    own.add_arguments(parser)
    parser.set_defaults(run=own.run)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text} is no port: 1 to {PORT_MAX}")
    return int(text)


def _lazily(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        return int(getattr(import_module(module), name)(arguments))

    return run
