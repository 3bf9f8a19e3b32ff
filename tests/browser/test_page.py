"""The page in a real browser: live, obedient, and fit for a phone. Screenshots land in build/screenshots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.engine.snapshot import GoalView, Snapshot
from app.web.claim import CODE_FILE, SetupCode
from app.web.front import Place
from app.web.login import PasswordFile
from app.web.safe import Known, SafePage, Trouble
from tests.browser.devtools import Tab, browser, chromium
from tests.guards import ROOT
from tests.web.pictures import ACTIVE, FRESH, HALTED, STOPPED, FakeEngine
from tests.web.visitor import Site, open_site

pytestmark = [pytest.mark.long, pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")]

PASSWORD = "a good password"
PHONES = ((360, 740), (390, 844))
DESK = (1280, 800)
REQUESTS_MAX = 6  # page, style, two scripts, icon, stream
TARGET_PX = 44
HOLD_MS = 1500
SHOTS = ROOT / "build" / "screenshots"
LOCKED = replace(STOPPED, code="flatten", goal="flat", detail="held on the page")


class Obeying(FakeEngine):
    """Shows what it was told to do, as the engine would."""

    def halt(self, by: str, why: str) -> None:
        super().halt(by, why)
        self.view = replace(self.view, state="halted", reasons=(STOPPED,))

    def flatten(self, by: str, why: str) -> None:
        super().flatten(by, why)
        goal = GoalView("flat", True, "1 position", 0)
        self.view = replace(self.view, state="halted", reasons=(LOCKED,), goal=goal)


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    profile = tmp_path / "profile"
    profile.mkdir()
    async with browser(profile) as opened:
        yield opened


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    async with open_site(tmp_path, engine=Obeying()) as opened:
        yield opened


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    async with open_site(tmp_path, engine=Obeying(), password=PASSWORD) as opened:
        yield opened


async def open_page(tab: Tab, site: Site, size: tuple[int, int] = DESK) -> None:
    await tab.size(*size, mobile=size[0] < 500)
    await tab.open(site.web.address)


async def _spoken(tab: Tab) -> None:
    """Scripts have run and the stream has told: it sets the title."""
    await tab.until("document.getElementById('flatten') && document.title !== 'Plimsoll'")


async def log_in(tab: Tab, site: Site, size: tuple[int, int] = DESK) -> None:
    await open_page(tab, site, size)
    await tab.value(f"document.getElementById('password').value = {PASSWORD!r}")
    await tab.value("document.querySelector('form button').click()")
    await _spoken(tab)


async def test_changes_without_reload(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await _spoken(tab)
    await tab.value("window.unreloaded = true")
    site.engine.view = HALTED
    await tab.until("document.getElementById('state').textContent === 'Halted'")
    await tab.until("document.querySelector('.why').textContent.includes('entries were stopped by hand')")
    site.engine.view = replace(ACTIVE, feeds=(replace(ACTIVE.feeds[0], last="6099.75"),))
    await tab.until("document.querySelector('.last').textContent === '6,099.75'")
    assert await tab.value("window.unreloaded && document.title") == "Active · Plimsoll"
    assert tab.errors == []


async def test_stops_entries_with_one_tap(tab: Tab, site: Site) -> None:
    await open_page(tab, site, PHONES[1])
    await _spoken(tab)
    await tab.tap("#stop")
    await tab.until("document.querySelector('#stop .halted').offsetParent !== null")
    assert [what for what, _, _ in site.engine.asked] == ["halt"]
    await tab.until("document.getElementById('state').textContent === 'Halted'")


async def test_shows_flatten_as_locked_without_a_password(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await _spoken(tab)
    assert await tab.value("document.getElementById('flatten').disabled")
    await tab.tap("#flatten")
    assert site.engine.asked == []


async def test_takes_the_first_password_with_the_one_time_code(
    tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    codes = SetupCode(tmp_path / CODE_FILE, SystemClock())
    code = await asyncio.to_thread(codes.make)
    async with open_site(tmp_path, engine=Obeying(), codes=codes) as site:
        await open_page(tab, site)
        await _spoken(tab)
        assert await tab.value("document.getElementById('claim').checkVisibility()")
        await tab.value(f"document.getElementById('code').value = 'aaaa'; first.value = {PASSWORD!r}")
        await tab.value("document.querySelector('#claim button').click()")
        await tab.until("document.getElementById('claim-note').textContent === 'wrong code'")
        await tab.value(f"document.getElementById('code').value = {code.lower()!r}")
        await tab.value("document.querySelector('#claim button').click()")
        await tab.until("document.documentElement?.dataset.access === 'owner'")
        await _spoken(tab)
        assert not await tab.value("document.getElementById('claim').checkVisibility()")


async def test_asks_for_no_code_where_there_is_none(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await _spoken(tab)
    assert not await tab.value("document.getElementById('claim').checkVisibility()")


@pytest.fixture
async def safe_page(tmp_path: Path) -> AsyncIterator[SafePage]:
    """Safe mode's, with a password and a journal that was read."""
    told = Trouble("setting web.port; found 70000, allowed: a whole number", "Correct it in /etc/plimsoll.")
    known = Known(
        "As of noon by the journal:", ("long 2 CON.F.US.EP.Z26 in account 1001", "no standing order")
    )
    passwords = PasswordFile(tmp_path / "password")
    await asyncio.to_thread(passwords.write, PASSWORD)
    page = SafePage(SystemClock(), Place("127.0.0.1", 0), told, passwords, lambda: known)
    await page.start()
    yield page
    await page.stop()


async def test_safe_mode_fits_a_phone_and_says_what_to_do(tab: Tab, safe_page: SafePage) -> None:
    await tab.size(*PHONES[0], mobile=True)
    await tab.open(safe_page.address)
    await tab.until("document.getElementById('state').textContent === 'Safe mode'")
    await tab.until("document.body.textContent.includes('found 70000')")
    assert not await tab.value("document.body?.textContent.includes('long 2')")
    fill = f"document.getElementById('password').value = '{PASSWORD}'"  # in one step: the page reloads itself
    await tab.until(f"({fill}, document.querySelector('#login button').click(), true)")
    await tab.until("document.body.textContent.includes('long 2 CON.F.US.EP.Z26')")
    await tab.until("document.documentElement.scrollWidth <= innerWidth")
    SHOTS.mkdir(parents=True, exist_ok=True)
    await tab.screenshot(SHOTS / "safe.png")


async def test_says_confirmed_when_the_venue_was_faster_than_the_answer(tab: Tab, guarded: Site) -> None:
    await log_in(tab, guarded)
    await tab.value(
        "const real = fetch; window.fetch = async (...a) => {"
        " const answer = await real(...a); await new Promise((go) => window.go = go); return answer; }; 0"
    )
    await tab.press("#flatten")
    await tab.until("window.go")
    await tab.release("#flatten")
    view = replace(guarded.engine.view, goal=GoalView("flat", False, "", 0), journal="disk is full")
    guarded.engine.view = view
    await tab.until("document.body.dataset.flattened === 'yes' && document.body.dataset.pending === 'no'")
    await tab.value("window.go(); 0")
    note = "document.getElementById('flatten-note').textContent"
    await tab.until(f"{note}.startsWith('confirmed flat')")
    assert await tab.value(f"{note}.endsWith('; not written to disk: disk is full')")
    guarded.engine.view = ACTIVE
    await tab.until(f"{note} === 'press and hold'")


async def test_flattens_only_after_holding(tab: Tab, guarded: Site) -> None:
    await log_in(tab, guarded)
    await tab.value(
        "document.getElementById('flatten').addEventListener('pointerdown',"
        " event => window.held = event.target.closest('.holding') !== null)"
    )
    await tab.tap("#flatten")
    await tab.until("document.getElementById('flatten-note').textContent.startsWith('let go too early')")
    assert await tab.value("window.held && document.querySelector('.holding') === null")
    assert guarded.engine.asked == []
    await tab.value(
        "const now = () => performance.now(), real = fetch;"
        "document.getElementById('flatten').addEventListener('pointerdown', () => window.down = now());"
        "window.fetch = (...a) => (window.sent = now(), real(...a)); 0"
    )
    await tab.press("#flatten")
    await tab.until("document.getElementById('flatten-note').textContent === 'pending…'")
    held_ms = await tab.value("window.sent - window.down")
    await tab.release("#flatten")
    assert held_ms >= HOLD_MS - 20  # timers of a browser round to a few milliseconds
    assert [what for what, _, _ in guarded.engine.asked] == ["flatten"]
    guarded.engine.view = replace(guarded.engine.view, goal=GoalView("flat", False, "", 0))
    await tab.until("document.getElementById('flatten-note').textContent.startsWith('confirmed flat')")


@pytest.mark.parametrize("size", [*PHONES, DESK])
@pytest.mark.parametrize(("name", "view"), [("active", ACTIVE), ("halted", HALTED), ("fresh", FRESH)])
async def test_fits_the_screen(
    tab: Tab, guarded: Site, size: tuple[int, int], name: str, view: Snapshot
) -> None:
    guarded.engine.view = view
    await log_in(tab, guarded, size)
    wide = await tab.value("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
    small = await tab.value(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent !== null"
        f" && Math.min(b.offsetWidth, b.offsetHeight) < {TARGET_PX}).map(b => b.id)"
    )
    assert small == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    await tab.screenshot(SHOTS / f"{name}-{size[0]}.png")
    assert tab.errors == []


async def test_keeps_stop_and_flatten_far_apart(tab: Tab, guarded: Site) -> None:
    for size in (*PHONES, DESK):
        await log_in(tab, guarded, size)
        stop, flatten = [
            await tab.value(
                f"(r => [r.x, r.y, r.height])(document.getElementById('{name}').getBoundingClientRect())"
            )
            for name in ("stop", "flatten")
        ]
        assert flatten[2] >= 56
        assert abs(stop[0] - flatten[0]) > 300 or abs(stop[1] - flatten[1]) > 300
        await tab.value("document.getElementById('logout').click()")
        await tab.until("document.getElementById('login')")


async def test_asks_nobody_but_its_own_server(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await _spoken(tab)
    asked = [url for url in tab.requests if not url.startswith("data:")]
    assert asked and all(url.startswith(site.web.address) for url in asked)
    assert len(set(asked)) <= REQUESTS_MAX, asked  # a stream that fell silent is asked for again


async def test_says_so_when_news_stop_coming(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await tab.until("document.getElementById('stale').hidden")
    await site.web.stop()
    await tab.until("!document.getElementById('stale').hidden")
    assert "what you see is old" in await tab.value("document.getElementById('stale').textContent")


async def test_tells_the_state_without_javascript(tab: Tab, site: Site) -> None:
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    await open_page(tab, site)
    assert await tab.value("document.getElementById('state').textContent") == "Active"
    assert "+204.94" in await tab.value("document.querySelector('.today').textContent")


async def test_remembers_the_light_theme(tab: Tab, site: Site) -> None:
    await open_page(tab, site)
    await _spoken(tab)
    dark = await tab.value("getComputedStyle(document.body).backgroundColor")
    await tab.value("document.getElementById('theme').click()")
    await open_page(tab, site)
    assert await tab.value("document.documentElement.dataset.theme") == "light"
    assert await tab.value("getComputedStyle(document.body).backgroundColor") != dark
    await tab.screenshot(SHOTS / "light.png")
