"""Starts the board. On a microcontroller this file is ``main.py`` in the root, beside ``app`` and ``board``.

On MicroPython's unix port it is the virtual board, with the options, the first line of output and the control
socket of the C one: ``micropython main.py --link PATH --control PATH [--seed N] [--one-channel]``.
"""

import asyncio
import json
import sys

FROM_ROOT = "board/micropython/main.py"
CONTROL_MS = 1  # between looks at the control socket


async def serve_board() -> None:
    """Run the board of this microcontroller. Whatever ends it, the output is off."""
    from app.mcu import messages, runner
    from board.micropython import firmware, hardware
    from board.micropython.board import Board

    target = hardware.Target()
    try:
        identity = (firmware.fingerprint("/"), target.reset_cause(), hardware.random32())
        codec = messages.Cbor2Codec()
        board = Board(codec, hardware.random32, identity, target.two_channels, target.now_ms())
        loop = firmware.Loop(board, target)
        await runner.run(loop, target.read, target.write, target.now_ms, None)
    finally:
        target.output(False)


async def serve_virtual_board(root: str, words: list[str]) -> None:
    """Run the virtual board; ends with its parent."""
    import random

    from app.mcu import messages, runner
    from board.micropython import firmware, unix, virtual

    unix.end_with_parent()
    chosen = options(words)
    if "--seed" in chosen:
        random.seed(int(chosen["--seed"]))
    port = unix.Port(chosen["--link"])
    port.plug()
    hash_ = firmware.fingerprint(root)
    machine = virtual.Machine(
        messages.Cbor2Codec(), port, unix.random32, hash_, "--one-channel" not in chosen
    )
    control = unix.Control(chosen["--control"], lambda command: virtual.answer(machine, command))
    sys.stdout.write(json.dumps({"pty": port.name, "control": chosen["--control"]}) + "\n")
    link = runner.run(machine, machine.read, machine.write, machine.now_ms, None)
    await asyncio.gather(listen(control), link)


async def listen(control) -> None:
    while True:
        control.serve()
        await asyncio.sleep(CONTROL_MS / 1000)


def options(words: list[str]) -> dict[str, str]:
    """Return the options by name. Raises ValueError for a word that is none and without the two paths."""
    found = {}
    while words:
        name = words.pop(0)
        if name not in ("--link", "--control", "--seed", "--one-channel"):
            raise ValueError("no such option: " + name)
        found[name] = "" if name == "--one-channel" else words.pop(0)
    if "--link" not in found or "--control" not in found:
        raise ValueError("--link PATH and --control PATH are needed")
    return found


def main() -> None:
    if sys.platform != "linux":
        asyncio.run(serve_board())
        return
    root = __file__[: -len(FROM_ROOT)] or "./"
    sys.path[0] = root  # not this folder, whose board.py is not the package
    sys.path.append(root + "board/micropython/lib")
    asyncio.run(serve_virtual_board(root, sys.argv[1:]))


if __name__ == "__main__":
    main()
