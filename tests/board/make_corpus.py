"""Makes the seeds of the fuzz target in ``corpus/``: ``python -m tests.board.make_corpus`` from the root.

Each is a script as ``fuzz_decoder.c`` reads it: honest histories that reach READY and RUN and end badly, and
the golden vectors as bytes on the wire. The fuzzer's own finds may be added beside them.
"""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
VECTORS = Path(__file__).parents[1] / "mcu" / "vectors.txt"
PASS_TIME, RAW, CONTACTS, FRAMED, ANSWER, ARM, ACK, OTHER = range(8)
HELLO_AGAIN, HELLO_NEW, INTERRUPT, STUCK_ON, STUCK_OFF, FOLLOWS, JUMP = range(7)
SEED = b"\x07"


def wait(milliseconds: int) -> bytes:
    """Short turns with an answer after each BEAT, as a host does."""
    return b"".join(bytes([PASS_TIME, 10, ANSWER, 1]) for _ in range(milliseconds // 10))


READY = SEED + bytes([OTHER, HELLO_NEW, PASS_TIME, 10, ACK, 0]) + wait(150)
RUN = READY + bytes([ARM, 0]) + wait(60)


def raw(data: bytes) -> bytes:
    return b"".join(
        bytes([RAW, len(part)]) + part for part in (data[at : at + 255] for at in range(0, len(data), 255))
    )


def histories() -> dict[str, bytes]:
    ends = {
        "opens": bytes([CONTACTS, 1, PASS_TIME, 60, CONTACTS, 0, CONTACTS, 3]) + wait(200),
        "interrupted": bytes([OTHER, INTERRUPT, ARM, 0]) + wait(150),
        "silent": bytes([PASS_TIME, 125, PASS_TIME, 125, ARM, 0]) + wait(60),
        "greeted": bytes([OTHER, HELLO_NEW, ACK, 0]) + wait(150),
        "stuck": bytes([OTHER, STUCK_OFF, PASS_TIME, 10, PASS_TIME, 20, OTHER, FOLLOWS, CONTACTS, 0])
        + wait(50),
        "noisy": raw(b"\x05\x01\x02\0" * 25) + wait(50),
        "jumped": bytes([OTHER, JUMP, 128, OTHER, JUMP, 128, ACK, 0]) + wait(150),
        "stopped": bytes([FRAMED, 5, 1, 0x80]) + wait(60),
        "framed": bytes([FRAMED, 6, 4, 0x83, 2, 0, 0, FRAMED, 2, 3, 0x82, 1, 2, FRAMED, 0x41, 1, 0x80]),
    }
    found = {f"run-{name}": RUN + end for name, end in ends.items()}
    return {**found, **{f"ready-{name}": READY + end for name, end in ends.items()}}


def vectors() -> bytes:
    """All golden frames and faults, one after the other."""
    lines = [
        line.split(" ") for line in VECTORS.read_text().splitlines() if line and not line.startswith("#")
    ]
    return RUN + b"".join(raw(bytes.fromhex(parts[-1])) for parts in lines)


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    for name, data in {**histories(), "vectors": vectors()}.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
