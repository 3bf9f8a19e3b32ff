"""Writes the generated parts of ``board/README.md``: ``python -m board.tables`` from the project's root.

Numbers and messages come from ``protocol.h``, the board's machine from ``firmware/states.c``, the host's from
``app.mcu.session``. A part lies between ``<!-- NAME: generated -->`` and ``<!-- end -->``; a test holds the
README equal to what is made here. Words that explain are the README's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from app.mcu import session

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
STATES = ("TRIPPED", "READY", "RUN", "FAULT")
EVENT_WORDS = re.compile(r"EVENT_(\w+),\s*/\* (.+) \*/")
DEFINITION = re.compile(r"#define P_(\w+) (\w+) /\* (.+) \*/")
Edges = dict[tuple[str, str], list[str]]  # from and to: what leads there


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def diagram(start: str, edges: Edges, final: str = "") -> str:
    """Return a state diagram; edges that stay where they are included."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {', '.join(words)}" for (before, after), words in edges.items()]
    if final:
        lines.append(f"    {final} --> [*]")
    return "\n".join([*lines, "```"])


def definitions() -> list[tuple[str, str, str]]:
    """Name without its prefix, literal and comment of each number, in their order."""
    return DEFINITION.findall((HERE / "protocol.h").read_text())


def numbers() -> str:
    shown = [row for row in definitions() if row[0].endswith("_MS") or row[0] in COUNTS]
    return table(("`P_`", "", "why"), [(f"`{name}`", value, words) for name, value, words in shown])


COUNTS = (
    *("VERSION", "BAUD", "MAX_FRAME", "MAX_PAYLOAD", "MAX_NESTING", "SEQ_WINDOW"),
    *("NOISE_LIMIT", "CHALLENGES", "SESSIONS_PER_SECOND"),
)


def messages() -> str:
    rows = []
    for name, value, words in definitions():
        if name.startswith("TYPE_"):
            fields, _, more = words.partition("; ")
            sender = "board" if int(value, 0) & 0x40 else "host"
            rows.append(
                (value, name.removeprefix("TYPE_"), sender, f"`{fields}`" + (f" {more}" if more else ""))
            )
    return table(("type", "message", "from", "payload"), rows)


def codes() -> str:
    """The small enumerations, a row each."""
    kinds = {
        "STATE": "state",
        "CAUSE": "cause",
        "FAULT": "faults, bits",
        "RESET": "reset cause",
        "TARGET": "target",
    }
    rows = []
    for kind, words in kinds.items():
        found = [(name, value) for name, value, _ in definitions() if name.startswith(kind + "_")]
        rows.append((words, ", ".join(f"{value} {name.partition('_')[2]}" for name, value in found)))
    return table(("field", "values"), rows)


def board_events() -> dict[str, str]:
    """The events of the board's machine with their words, in their order."""
    return dict(EVENT_WORDS.findall((HERE / "firmware" / "states.h").read_text()))


def board_cells() -> dict[str, list[str]]:
    """The rows of the table in C: for each state the state after each event, or STAY."""
    text = (HERE / "firmware" / "states.c").read_text()
    rows = re.findall(r"\[(TRIPPED|READY|RUN|FAULT)\]\s*= \{ (.+?)\s*\},", text)
    return {state: [cell.strip() for cell in cells.split(",")] for state, cells in rows}


def board_causes() -> dict[str, str]:
    text = (HERE / "firmware" / "states.c").read_text()
    return {event: cause for event, cause in re.findall(r"\[EVENT_(\w+)\] = P_CAUSE_(\w+)", text)}


def board_machine() -> str:
    events, cells, causes = board_events(), board_cells(), board_causes()
    if list(cells) != list(STATES) or any(len(row) != len(events) for row in cells.values()):
        raise ValueError("states.c: the table is not a row for each state and a column for each event")
    edges: Edges = {}
    rows: list[tuple[str, ...]] = []
    for number, (event, words) in enumerate(events.items()):
        after = [cells[state][number] for state in STATES]
        for state, target in zip(STATES, after, strict=True):
            if target != "STAY":
                edges.setdefault((state, target), []).append(event)
        shown = ("" if target == "STAY" else target for target in after)
        rows.append((event, words, causes.get(event, ""), *shown))
    head = ("event", "when", "cause", *(f"in {state}" for state in STATES))
    return table(head, rows) + "\n\n" + diagram("TRIPPED", edges)


def host_machine() -> str:
    edges: Edges = {}
    rows: list[tuple[str, ...]] = []
    for number, name in enumerate(session.INPUTS):
        after = [session.TRANSITIONS.get((state, number)) for state in range(len(session.STATES))]
        for state, target in enumerate(after):
            if target is not None:
                edges.setdefault((_host_state(state), _host_state(target)), []).append(name.upper())
        rows.append((name.upper(), *("" if target is None else _host_state(target) for target in after)))
    head = ("input", *(f"in {state.upper()}" for state in session.STATES))
    return table(head, rows) + "\n\n" + diagram("OPENING", edges, "LOST")


def _host_state(number: int) -> str:
    return session.STATES[number].upper()


PARTS = {
    "messages": messages,
    "codes": codes,
    "numbers": numbers,
    "board machine": board_machine,
    "host machine": host_machine,
}


def rendered(text: str) -> str:
    """Return the README with every generated part made anew; KeyError for a part nobody makes."""

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]]()}\n{match[4]}"

    return re.sub(r"(<!-- ([a-z ]+): generated -->)\n(.*?)\n?(<!-- end -->)", part, text, flags=re.DOTALL)


def main() -> int:
    README.write_text(rendered(README.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
