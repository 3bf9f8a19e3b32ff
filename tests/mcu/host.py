"""A host of its own process: the link on real time, and an engine that prints. For SIGSTOP and kill.

`python -m tests.mcu.host DEVICE`; trading counts as open, so the board runs as soon as it is ready.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from app.clock import SystemClock
from app.engine.settings import HEARTBEAT_NS
from app.mcu.link import Link
from app.mcu.native_codec import NativeCodec
from app.mcu.opener import Opener
from app.mcu.port import open_port
from tests.web.pictures import ACTIVE


class Printing:
    """An armed engine that resumes: it shows that trading is open whenever the switch is closed."""

    def __init__(self) -> None:
        self.link: Link | None = None

    def trip(self, cause: str) -> None:
        print(json.dumps(["trip", cause]), flush=True)

    def latched(self) -> bool:
        return True

    def on_panel(self, fresh: bool, closed: bool) -> None:
        print(json.dumps([fresh, closed]), flush=True)
        if fresh and closed and self.link is not None:
            self.link.show(ACTIVE)


class Host:
    """A link and the timer that the engine would have."""

    def __init__(self, device: Path, engine: object) -> None:
        self.clock = SystemClock()

        opener = Opener("board")

        async def dial(received, lost):  # type: ignore[no-untyped-def]
            return await open_port(device, 115_200, received, lost, opener)

        self.link = Link("virtual", self.clock, dial, NativeCodec())
        self.link.connect(engine)  # type: ignore[arg-type]
        self.beating = True

    async def run(self) -> None:
        self._beat()
        try:
            await self.link.run()
        finally:
            self._timer.cancel()

    def _beat(self) -> None:
        self._timer = self.clock.call_later(HEARTBEAT_NS, self._beat)
        if self.beating:
            self.link.heartbeat(self.clock.mono_ns())


async def main() -> None:
    engine = Printing()
    host = Host(Path(sys.argv[1]), engine)
    engine.link = host.link
    await host.run()


if __name__ == "__main__":
    asyncio.run(main())
