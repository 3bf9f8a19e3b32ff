"""The command line's grammar: commands, options, help. What a command does lives in the modules beside."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

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


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command; its `run` attribute executes it. Exits 2 with usage, 0 for help."""
    parser = argparse.ArgumentParser(prog="plimsoll", description="A trading appliance.", epilog=EPILOG)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in READS.items():
        _reading(commands.add_parser(name, help=text, description=text, epilog=EPILOG), name)
    for name, text in CHANGES.items():
        _changing(commands.add_parser(name, help=text, description=text, epilog=EPILOG), name)
    _native(commands)
    _board(commands)
    _services(commands)
    _machine(commands)
    for name, (module, text) in DELEGATED.items():
        own = commands.add_parser(name, help=text, description=text, epilog=EPILOG)
        if name in argv:  # its module is imported only for the command itself
            _delegate(own, module)
    return parser.parse_args(argv)


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="its data folder (default: as in FILE)")


def _reading(parser: argparse.ArgumentParser, name: str) -> None:
    _places(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_lazily("app.cli.client", "read"), command=name)


def _changing(parser: argparse.ArgumentParser, name: str) -> None:
    _places(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    needed = name == "accept-difference"
    reason = parser.add_mutually_exclusive_group(required=needed)
    reason.add_argument("reason", nargs="*", default=[], metavar="REASON", help="kept in the audit")
    reason.add_argument("--why", default="", metavar="TEXT", help="the same, as an option")
    parser.set_defaults(run=_lazily("app.cli.client", "change"), command=name)


def _native(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "end the exception of a module that runs on its pure twin (works without a service too)"
    native = commands.add_parser("native", help=text, description=text, epilog=EPILOG)
    _places(native)
    native.add_argument("--json", action="store_true", help="print JSON")
    native.add_argument("what", choices=["clear"])
    native.add_argument("module", metavar="MODULE", help="as plimsoll status names it")
    native.add_argument("reason", nargs="+", metavar="REASON", help="kept in the audit")
    native.set_defaults(run=_lazily("app.cli.client", "clear_exception"), command="native-clear")


def _board(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "the board with the kill switch"
    board = commands.add_parser("board", help=text, description=text, epilog=EPILOG)
    whats = board.add_subparsers(metavar="WHAT", required=True)
    for name, text in BOARD.items():
        what = whats.add_parser(name, help=text, description=text, epilog=EPILOG)
        _places(what)
        what.add_argument("--json", action="store_true", help="print JSON")
        if name == "arm":
            what.add_argument("reason", nargs="*", default=[], metavar="REASON", help="kept in the audit")
        if name == "switch":
            what.add_argument("to", choices=("open", "closed"))
        what.set_defaults(run=_lazily("app.cli.board", name))
    text = "write firmware onto the UNO Q's microcontroller; trading is halted first"
    flash = whats.add_parser("flash", help=text, description=text, epilog=EPILOG)
    _places(flash)
    which = flash.add_mutually_exclusive_group()
    which.add_argument("--image", type=Path, metavar="FILE", help="one that exists, artefact.json beside it")
    which.add_argument("--back", action="store_true", help="the one before the current one")
    flash.set_defaults(run=_lazily("app.cli.firmware", "flash"))


def _services(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "run the service (what systemd starts)"
    service = commands.add_parser("run", help=text, description=text, epilog=EPILOG)
    service.add_argument("--config", type=Path, metavar="FILE", help="settings file")
    service.set_defaults(run=_lazily("app.cli.service", "run"))
    text = "show a page that says why nothing is traded, and trade nothing"
    safe = commands.add_parser("safe", help=text, description=text, epilog=EPILOG)
    safe.add_argument("--reason", required=True, metavar="TEXT", help="what the page and plimsoll status say")
    safe.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")
    safe.set_defaults(run=_lazily("app.cli.service", "safe"))
    text = "run the appliance against its own simulator"
    demo = commands.add_parser("demo", help=text, description=text, epilog=EPILOG)
    demo.add_argument(
        "--home", type=Path, metavar="DIR", help="its folder (default: $PLIMSOLL_HOME or ~/.local/...)"
    )
    demo.add_argument("--port", type=_port, default=8080, help="of the page; the next free one if taken")
    demo.add_argument("--keep", action="store_true", help="keep the journal of the last demo")
    demo.set_defaults(run=_lazily("app.cli.service", "demo"))
    text = "try the messages that tell you of a halt: plimsoll notify test"
    notify = commands.add_parser("notify", help=text, description=text, epilog=EPILOG)
    notify.add_argument("what", choices=("test",), help="send one message to notify.url now")
    notify.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")
    notify.set_defaults(run=_lazily("app.cli.notifying", "run"))
    text = "copy the journal, also while the service runs; keeps 7 days and 4 weeks"
    backup = commands.add_parser("backup", help=text, description=text, epilog=EPILOG)
    _places(backup)
    backup.add_argument("--to", type=Path, metavar="DIR", help="where (default: backups in the data folder)")
    backup.add_argument("--list", action="store_true", help="only name the backups there are")
    backup.add_argument("--json", action="store_true", help="print JSON")
    backup.set_defaults(run=_lazily("app.cli.backups", "back_up"))
    text = "put a backup in the place of the journal; trading stays halted until you re-arm"
    restore = commands.add_parser("restore", help=text, description=text, epilog=EPILOG)
    _places(restore)
    restore.add_argument("backup", type=Path, metavar="BACKUP", help="a folder that plimsoll backup made")
    restore.add_argument("--json", action="store_true", help="print JSON")
    restore.set_defaults(run=_lazily("app.cli.backups", "restore"))
    text = "set the password of the page"
    passwd = commands.add_parser("passwd", help=text, description=text, epilog=EPILOG)
    _places(passwd)
    how = passwd.add_mutually_exclusive_group()
    how.add_argument("--stdin", action="store_true", help="read it from standard input, one line")
    how.add_argument("--code", action="store_true", help="show a one-time code to set the first on the page")
    passwd.set_defaults(run=_lazily("app.cli.password", "run"))


def _machine(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "put this release onto the machine and start it at every boot; run it from the release's file"
    install = commands.add_parser("install", help=text, description=text, epilog=EPILOG)
    install.add_argument(
        "--artifact", type=Path, metavar="FILE", help="the release's file (default: this one)"
    )
    install.set_defaults(run=_lazily("app.cli.installing", "install"))
    text = "take it off the machine; data, settings and backups stay"
    uninstall = commands.add_parser("uninstall", help=text, description=text, epilog=EPILOG)
    uninstall.add_argument("--purge", action="store_true", help="delete data, settings and backups too")
    uninstall.add_argument("--yes", action="store_true", help="do not ask before --purge")
    uninstall.add_argument("--with-open-positions", action="store_true", help="even while a position is open")
    uninstall.set_defaults(run=_lazily("app.cli.installing", "uninstall"))
    text = "answer the few questions about your account, or take a file with the answers"
    setup = commands.add_parser("setup", help=text, description=text, epilog=EPILOG)
    setup.add_argument(
        "--answers", type=Path, metavar="FILE", help="TOML, readable by you alone; asks nothing"
    )
    setup.add_argument("--yes", action="store_true", help="do not ask before writing")
    setup.set_defaults(run=_lazily("app.cli.installing", "setup"))
    text = "check everything about the installed appliance, and say how to mend it"
    doctor = commands.add_parser("doctor", help=text, description=text, epilog=EPILOG)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_lazily("app.cli.installing", "examine"))
    for each in (install, uninstall, setup, doctor):
        each.add_argument(
            "--root", type=Path, metavar="DIR", help="a system's folder instead of this machine"
        )


def _delegate(parser: argparse.ArgumentParser, module: str) -> None:
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
