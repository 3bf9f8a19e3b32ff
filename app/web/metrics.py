"""`/metrics`: the appliance in numbers, as Prometheus and its like read them. Pure: a snapshot in, text out.

Anybody who reaches the page may read it, so it holds what `/healthz` holds, and no figure of the account, its
orders or its positions.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.engine.snapshot import Snapshot, StorageView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("active", "reducing", "halted")

Sample = tuple[dict[str, str], float]
Metric = tuple[str, str, list[Sample]]  # name after the prefix, help, samples with their labels


def text(view: Snapshot) -> str:
    """Every metric with its help and type; what is not known is left out."""
    lines: list[str] = []
    for name, told, samples in (*_trading(view), *_storage(view.storage)):
        lines += [f"# HELP plimsoll_{name} {told}", f"# TYPE plimsoll_{name} gauge"]
        lines += [f"plimsoll_{name}{_labels(labels)} {value:.12g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _trading(view: Snapshot) -> Iterator[Metric]:
    yield "info", "What runs.", [({"version": view.version, "mode": view.mode}, 1)]
    states: list[Sample] = [({"state": state}, state == view.state) for state in STATES]
    yield "trading_state", "1 for the state that holds.", states
    kinds = {reason.code: reason.kind for reason in view.reasons}  # not the scope: it is an account's number
    reasons: list[Sample] = [({"code": code, "kind": kind}, 1) for code, kind in kinds.items()]
    yield "reason", "1 for each reason why trading is restricted.", reasons
    for name, told, value in (
        ("armed", "Whether a person has armed it.", view.armed),
        ("venue_connected", "Whether the venue's hubs are up.", view.link_up),
        ("books_agree", "Whether books and venue were compared and agree.", view.synced),
        ("journal_written", "Whether the journal can be written.", not view.journal),
        ("session_open", "Whether the exchange's session is open.", view.session_open),
        ("halt_pending", "Whether a halt waits for the venue to confirm it.", view.goal.pending),
        ("switch_closed", "Whether the switch is heard and closed.", view.panel == "closed"),
    ):
        yield name, told, [({}, value)]
    ages = [feed.age_ms for feed in view.feeds if feed.age_ms >= 0]
    if ages:
        yield "feed_age_seconds", "Age of the oldest newest price.", [({}, max(ages) / 1000)]


def _storage(disk: StorageView) -> Iterator[Metric]:
    written = {"service": disk.written_bytes, "machine": disk.device_written_bytes}
    for name, told, values in (
        ("storage_free_bytes", "Free on the disk of the data folder.", {"": disk.free_bytes}),
        ("storage_used_bytes", "Taken by the data folder.", {"": disk.used_bytes}),
        (
            "storage_written_day_bytes",
            "Written since the service's start, the last 24 hours at most.",
            written,
        ),
        ("storage_worn_percent", "Of the eMMC's life spent, by its own word.", {"": disk.worn_percent}),
        ("storage_spare", "The eMMC's spare blocks: 1 good, 2 most used, 3 nearly gone.", {"": disk.spare}),
    ):
        known: list[Sample] = [({"by": by} if by else {}, n) for by, n in values.items() if n >= 0]
        if known:
            yield name, told, known
    yield (
        "storage_trouble",
        "1 for each trouble with the disk or the backups.",
        [({"code": c}, 1) for c in disk.troubles],
    )


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
