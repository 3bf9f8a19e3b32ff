"""The golden vectors against a codec, on CPython and MicroPython: ``failures(...)`` names what differs.

As a program it runs the cbor2 codec: ``micropython tests/mcu/vectors.py ROOT [PATH...]``, with ROOT the
project's root and PATHs where cbor2 is; prints how many vectors were right, ends with 1 if one was not.
"""

import json
import sys


def lines(path: str):
    """The vectors' parts one after the other, comments left out: a small board has no room for all."""
    with open(path) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.split()


def values(shown: str) -> tuple:
    """A payload from its JSON: strings are hexadecimal byte strings."""
    return tuple([bytes.fromhex(v) if isinstance(v, str) else v for v in json.loads(shown)])


def outcomes(codec, messages, data: bytes, step: int) -> str:
    """The names of what a new decoder reports when fed ``step`` bytes at a time."""
    decoder = codec.decoder()
    names = []
    for at in range(0, len(data), step):
        for outcome, fields in decoder.feed(data[at : at + step]):
            if outcome == 0 and not messages.valid(fields[0], fields[-1]):
                names.append("message")
            else:
                names.append(messages.OUTCOMES[outcome])
    return ",".join(names) or "none"


def check_good(codec, messages, parts: list[str]) -> bool:
    fields = tuple([int(part) for part in parts[2:8]]) + (values(parts[8]),)
    wire = bytes.fromhex(parts[9])
    if codec.encode(*fields) != wire or not messages.valid(fields[0], fields[-1]):
        return False
    return all([codec.decoder().feed(wire) == [(0, fields)], outcomes(codec, messages, wire, 1) == "good"])


def check_bad(codec, messages, parts: list[str]) -> bool:
    wire = bytes.fromhex(parts[3])
    return all([outcomes(codec, messages, wire, step) == parts[2] for step in (1, 7, 100000)])


def failures(codec, messages, path: str) -> tuple[int, list[str]]:
    """How many vectors were right, and the names of the others."""
    wrong = []
    count = 0
    for parts in lines(path):
        count += 1
        check = check_good if parts[0] == "good" else check_bad
        if not check(codec, messages, parts):
            wrong.append(parts[1])
    return count - len(wrong), wrong


def main(root: str, more: list[str]) -> int:
    sys.path[:0] = [root] + more
    from app.mcu import messages

    right, wrong = failures(messages.Cbor2Codec(), messages, root + "/tests/mcu/vectors.txt")
    print(right, "right", *wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
