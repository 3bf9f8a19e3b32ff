"""Alerts over real HTTP: what is sent, what is tried again, what is given up."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

import pytest

from app.cli import main
from app.clock import NS, VirtualClock
from app.config import Secret, load
from app.engine.snapshot import GoalView, Snapshot, StorageView, UpdateView
from app.errors import Refused, SettingsError, Unreachable
from app.ops import notifier
from app.ops.alerts import Alert
from app.ops.notifier import FIRST_PAUSE_NS, NEWS_NS, QUEUE_LIMIT, Notifier, Target, post
from tests.guards import PATIENCE
from tests.ops.test_alerts import FINE, because, seen
from tests.ports import reserved

HALTED = Alert("halted", "Plimsoll: trading is halted", "Halted because the switch was opened — now", 5)


class _Receiver(BaseHTTPRequestHandler):
    """Remembers what it got and answers what the test asked for."""

    answers: ClassVar[list[int]] = []
    got: ClassVar[list[tuple[str, dict[str, str], str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append((self.path, dict(self.headers), body))
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    with receiving() as address:
        yield address


@contextmanager
def receiving(*answers: int) -> Iterator[str]:
    _Receiver.answers, _Receiver.got = list(answers), []
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/my-topic"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_posts_the_text_with_title_priority_and_token(url: str) -> None:
    post(Target(url, Secret("tk_123")), HALTED)
    ((path, headers, body),) = _Receiver.got
    assert path == "/my-topic" and body == HALTED.text
    assert str(make_header(decode_header(headers["Title"]))) == HALTED.title
    assert headers["Priority"] == "5" and headers["Tags"] == "halted"
    assert headers["Authorization"] == "Bearer tk_123"


def test_posts_to_the_whole_address(url: str) -> None:
    post(Target(f"{url}room?key=a%20b&x=1"), HALTED)
    assert _Receiver.got[0][0].endswith("room?key=a%20b&x=1")


@pytest.mark.parametrize("token", ["tk\n1: x", "tk\u20ac"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_told(url: str, token: str) -> None:
    with pytest.raises(Refused) as refused:
        post(Target(url, Secret(token)), HALTED)
    assert "tk" not in str(refused.value)
    assert not _Receiver.got


def test_a_title_cannot_add_a_header(url: str) -> None:
    post(Target(url), Alert("halted", "a\r\nX-Evil: 1", "text", 3))
    ((_, headers, _),) = _Receiver.got
    assert "X-Evil" not in headers


@pytest.mark.parametrize(
    ("status", "error"), [(500, Unreachable), (429, Unreachable), (403, Refused), (302, Refused)]
)
def test_tells_what_may_work_later_from_what_never_will(status: int, error: type[Exception]) -> None:
    with receiving(status) as url, pytest.raises(error):
        post(Target(url), HALTED)


def test_a_dead_server_is_unreachable() -> None:
    with reserved() as port, pytest.raises(Unreachable):
        post(Target(f"http://127.0.0.1:{port}/"), HALTED)


async def notified(clock: VirtualClock, sender: Notifier, posts: int, step_ns: int) -> None:
    """Run the notifier, moving time on, until the receiver has got `posts`."""
    task = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while len(_Receiver.got) < posts:
                await asyncio.sleep(0.005)
                clock.advance(step_ns)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def dripping(first: bytes, over: Event) -> Iterator[tuple[str, Event]]:
    """A server that takes a request, sends `first` and then a byte now and then, until `over`. Yields its URL
    and what tells that it is done with its caller.
    """
    listener, gone = socket.create_server(("127.0.0.1", 0)), Event()

    def serve() -> None:
        with suppress(OSError):
            link, _ = listener.accept()
            with link:
                link.sendall(first)
                link.settimeout(0.01)
                while not over.is_set():
                    link.sendall(b"x")
                    with suppress(TimeoutError):
                        if not link.recv(65_536):
                            break
        gone.set()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", gone
    finally:
        over.set()
        listener.close()
        thread.join(PATIENCE)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_endless_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    monkeypatch.setattr(notifier, "DEADLINE_S", 0.2)
    monkeypatch.setattr(notifier, "REPLY_LIMIT", 10**9)
    with dripping(first, Event()) as (url, gone):
        with suppress(Unreachable):  # a body that breaks off may do, its status came
            post(Target(url), HALTED)
        assert gone.wait(PATIENCE)


async def test_a_server_that_hangs_holds_neither_the_loop_nor_the_end() -> None:
    clock = VirtualClock(0)
    over, before = Event(), set(threading.enumerate())  # one whose test is over may have last lines to run

    def sending_threads() -> list[Thread]:
        return [each for each in threading.enumerate() if each.name == "notify" and each not in before]

    with dripping(b"HTTP/1.1 200 OK\r\nX: ", over) as (url, gone):
        sender = Notifier(Target(url), clock)
        sender.put(HALTED)
        sending = asyncio.create_task(sender.run())
        async with asyncio.timeout(PATIENCE):
            while not sending_threads():
                await asyncio.sleep(0)
            for _ in range(1000):
                sender.put(HALTED)  # whoever tells something is never held up
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        (hanging,) = sending_threads()
        assert hanging.daemon and not gone.is_set()
        over.set()
        hanging.join(PATIENCE)


async def test_what_waits_is_sent_after_a_fault_of_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread to be had, say: the supervisor runs it again, and no new alert need come first."""
    sent: list[Alert] = []

    def faulty(_: Target, alert: Alert) -> None:
        if alert is HALTED:
            raise RuntimeError("can't start new thread")
        sent.append(alert)

    monkeypatch.setattr(notifier, "post", faulty)
    other = Alert("storage", "title", "text", 4)
    sender = Notifier(Target("http://127.0.0.1/"), VirtualClock(0))
    sender.put(HALTED)
    sender.put(other)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError):
            await sender.run()
        task = asyncio.create_task(sender.run())
        while not sent:
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sent == [other]


async def test_tries_again_with_longer_pauses_and_keeps_the_order() -> None:
    clock = VirtualClock(0)
    with receiving(500, 503, 200, 200) as url:
        sender = Notifier(Target(url), clock)
        sender.put(HALTED)
        sender.put(Alert("normal", "Plimsoll: back to normal", "Active", 3))
        await notified(clock, sender, 4, FIRST_PAUSE_NS)
    assert [headers["Tags"] for _, headers, _ in _Receiver.got] == ["halted", "halted", "halted", "normal"]


async def test_gives_up_what_is_refused_and_sends_the_next() -> None:
    clock = VirtualClock(0)
    with receiving(404, 200) as url:
        sender = Notifier(Target(url), clock)
        sender.put(HALTED)
        sender.put(Alert("normal", "x", "Active", 3))
        await notified(clock, sender, 2, NS)
    assert [headers["Tags"] for _, headers, _ in _Receiver.got] == ["halted", "normal"]


async def test_old_news_is_dropped_and_a_full_queue_loses_the_oldest() -> None:
    clock = VirtualClock(0)
    with receiving() as url:
        sender = Notifier(Target(url), clock)
        sender.put(HALTED)
        clock.advance(NEWS_NS)
        for number in range(QUEUE_LIMIT - 1):
            sender.put(Alert(str(number), "x", "y", 3))
        await notified(clock, sender, QUEUE_LIMIT - 1, 0)
        sender.put(HALTED)
        for number in range(QUEUE_LIMIT):
            sender.put(Alert(str(number), "x", "y", 3))
        await notified(clock, sender, 2 * QUEUE_LIMIT - 1, 0)
    assert "halted" not in [headers["Tags"] for _, headers, _ in _Receiver.got]


@pytest.mark.parametrize(
    ("ill", "code"),
    [
        (seen(reasons=because("switch")), "halted"),
        (seen(goal=GoalView("flat", True, "venue closed", 0)), "flat_pending"),
        (seen(reasons=because("difference")), "difference"),
        (seen(update=UpdateView(failed="0.2.0 did not get ready")), "update_failed"),
        (seen(journal="disk full"), "storage"),
        (seen(storage=StorageView(troubles={"storage_wear": "90 % spent"})), "storage_wear"),
        (seen(link_up=False), "feed"),
    ],
)
async def test_sends_each_thing_an_owner_must_know_and_that_it_is_over(ill: Snapshot, code: str) -> None:
    """From the engine's picture to the phone, whatever the time it must have stood."""
    clock, view = VirtualClock(0), ill
    with receiving() as url:
        sender = Notifier(Target(url), clock)
        watching = asyncio.create_task(sender.watch(lambda: (view, "Active")))
        try:
            await notified(clock, sender, 1, NS)
            view = FINE
            await notified(clock, sender, 2, NS)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert [headers["Tags"] for _, headers, _ in _Receiver.got] == [code, "normal"]


async def test_watches_the_picture_and_sends_what_is_due() -> None:
    clock, pictures = VirtualClock(0), [seen(journal="disk full"), seen(journal="disk full"), FINE, FINE]
    with receiving() as url:
        sender = Notifier(Target(url), clock)

        def picture() -> tuple[Snapshot, str]:
            return (pictures.pop(0) if len(pictures) > 1 else pictures[0]), "Active"

        watching = asyncio.create_task(sender.watch(picture))
        try:
            await notified(clock, sender, 2, NS)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert [headers["Tags"] for _, headers, _ in _Receiver.got] == ["storage", "normal"]


def test_the_command_sends_one_and_says_when_it_cannot(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plimsoll.toml"
    file.write_text(f'[notify]\nurl = "{url}"\ntoken_file = "token"\n')
    (tmp_path / "token").write_text("tk_1\n")
    (tmp_path / "token").chmod(0o600)
    assert main(["notify", "test", "--config", str(file)]) == 0
    ((_, headers, _),) = _Receiver.got
    assert headers["Authorization"] == "Bearer tk_1" and headers["Tags"] == "test"
    (tmp_path / "token").chmod(0o644)
    assert main(["notify", "test", "--config", str(file)]) == 2
    file.write_text("")
    assert main(["notify", "test", "--config", str(file)]) == 2
    assert "nobody is told" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        *("ntfy.sh/x", "ftp://a/b", "https://", "https://me:pw@a/b", "http://example.org/x", "https://a:0/"),
        *("https://a/b c", "https://a/\u00e9", "https://a..b/", f"https://{'a' * 64}.com/"),
    ],
)
def test_refuses_an_address_that_is_none_or_not_encrypted(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"notify\.url"):
        load(f'[notify]\nurl = "{wrong}"\n', Path("/"))
    assert load('[notify]\nurl = "https://ntfy.sh/mine"\n', Path("/")).notify.url == "https://ntfy.sh/mine"
