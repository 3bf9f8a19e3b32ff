"""Messages of the board link: their ids, the positions and bounds of their fields, and the cbor2 codec.

One table for both sides, on CPython and MicroPython. ``board/protocol.h`` is the source of the numbers; a
test holds these equal to it. What a message makes a side do belongs to ``session`` and to the board. cbor2 is
imported here alone, and only when its codec is asked for: the service uses ``native.wire``.
"""

from app.mcu import frame

OUTCOMES = frame.OUTCOMES
VERSION = 1
FROM_BOARD = 0x40  # this bit of a type tells the direction; what a side sent itself came back on a loop

HELLO = 0x01
HOST_BEAT = 0x02
ACK = 0x03
ARM = 0x04
STOP = 0x05
LIGHTS = 0x06
WELCOME = 0x41
BOARD_BEAT = 0x42
TRIP = 0x43
FAULTS = 0x44
COUNTERS = 0x45

TRIPPED, READY, RUN, FAULT = 0, 1, 2, 3
STATES = ("tripped", "ready", "run", "fault")
CAUSE_NONE, CAUSE_BOOT, CAUSE_SWITCH, CAUSE_LINK, CAUSE_HOST, CAUSE_SESSION, CAUSE_NOISE = 0, 1, 2, 3, 4, 5, 6
CAUSE_PROTOCOL, CAUSE_FAULT = 7, 8
CAUSES = ("none", "boot", "switch", "link", "host", "session", "noise", "protocol", "fault")
FAULT_DISCREPANCY, FAULT_READBACK, FAULT_WATCHDOG, FAULT_STARVED = 1, 2, 4, 8
CONTACT_A, CONTACT_B = 1, 2  # bits; set = closed
RESET_UNKNOWN, RESET_POWER, RESET_PIN, RESET_WATCHDOG, RESET_SOFTWARE = 0, 1, 2, 3, 4
TARGET_UNOQ, TARGET_QEMU, TARGET_LINUX, TARGET_MICROPYTHON, TARGET_UNOQ_GUEST = 1, 2, 3, 4, 5
TARGETS = ("", "unoq", "qemu", "linux", "micropython", "unoq_guest")
TWO_CHANNELS = 1  # bit of WELCOME's interlock
STATUSES = (
    "starting",
    "disarmed",
    "armed_flat",
    "in_position",
    "near_limit",
    "degraded_feed",
    "halted",
    "tripped",
    "updating",
    "fault",
)
HASH_SIZE = 8  # bytes of the firmware's hash in WELCOME

_U8, _U16, _U32 = 0xFF, 0xFFFF, 0xFFFFFFFF

# Type -> name and fields in their order: (name, lowest, highest), or (name, None, size) for a byte string.
MESSAGES = {
    HELLO: ("HELLO", (("host_nonce", 0, _U32),)),
    HOST_BEAT: ("HOST_BEAT", (("challenge", 0, _U32), ("answer", 0, _U32))),
    ACK: ("ACK", (("trip_id", 0, _U16),)),
    ARM: ("ARM", (("arm_nonce", 0, _U32),)),
    STOP: ("STOP", ()),
    LIGHTS: (
        "LIGHTS",
        (
            ("status", 0, len(STATUSES) - 1),
            ("net", -0x8000, 0x7FFF),
            ("pnl_usd", -0x80000000, 0x7FFFFFFF),
        ),
    ),
    WELCOME: (
        "WELCOME",
        (
            ("host_nonce", 0, _U32),
            ("firmware_hash", None, HASH_SIZE),
            ("target", 1, len(TARGETS) - 1),
            ("reset_cause", 0, _U8),
            ("boot_id", 0, _U32),
            ("interlock", 0, _U8),
        ),
    ),
    BOARD_BEAT: (
        "BOARD_BEAT",
        (
            ("challenge", 0, _U32),
            ("answer", 0, _U32),
            ("state", 0, len(STATES) - 1),
            ("contacts", 0, CONTACT_A | CONTACT_B),
            ("faults", 0, _U16),
            ("arm_nonce", 0, _U32),
            ("trip_id", 0, _U16),
            ("cause", 0, len(CAUSES) - 1),
        ),
    ),
    TRIP: ("TRIP", (("trip_id", 0, _U16), ("cause", 0, len(CAUSES) - 1), ("at_ms", 0, _U32))),
    FAULTS: ("FAULTS", (("faults", 0, _U16), ("since_ms", 0, _U32))),
    COUNTERS: (
        "COUNTERS",
        (
            ("good", 0, _U32),
            ("bad", 0, _U32),
            ("duplicate", 0, _U32),
            ("looped", 0, _U32),
            ("wrong_session", 0, _U32),
            ("wrong_version", 0, _U32),
            ("overrun", 0, _U32),
            ("uptime_s", 0, _U32),
        ),
    ),
}


def valid(type_: int, payload: tuple) -> bool:
    """Whether a payload is that message's: the count of its fields, their types and their bounds."""
    message = MESSAGES.get(type_)
    if message is None or len(payload) != len(message[1]):
        return False
    for index, (_, lowest, highest) in enumerate(message[1]):
        if not _within(payload[index], lowest, highest):
            return False
    return True


def _within(value: object, lowest: int | None, highest: int) -> bool:
    if lowest is None:
        return isinstance(value, bytes) and len(value) == highest
    return type(value) is int and lowest <= value <= highest


MAX_NESTING = 4  # arrays in arrays, as native.wire
_LOWEST_INT, _HIGHEST_INT = -(2**63), 2**64 - 1


class Cbor2Codec:
    """The link's codec over cbor2: CPython's as the tests' oracle, micropython-lib's on a board.

    cbor2 reads more than the link allows; what it read must be of the allowed types and encode to the very
    same bytes again.
    """

    def __init__(self) -> None:
        import cbor2

        self._dumps = cbor2.dumps
        self._loads = cbor2.loads

    def encode(
        self, type_: int, version: int, session: int, seq: int, ack: int, t_ms: int, payload: tuple
    ) -> bytes:
        """Return a frame. Raises ValueError for a payload that is not allowed or longer than 108 bytes."""
        return frame.build(type_, version, session, seq, ack, t_ms, self.dump(payload))

    def decoder(self) -> "Cbor2Decoder":
        return Cbor2Decoder(self)

    def dump(self, payload: tuple) -> bytes:
        if not isinstance(payload, tuple) or not _allowed(payload, 0):
            raise ValueError("messages: a payload that cannot be sent")
        return bytes(self._dumps(_listed(payload)))  # micropython-lib's knows lists, not tuples

    def load(self, data: bytes) -> tuple | None:
        """Return the values of a payload, None for all that ``dump`` would not have made."""
        try:
            payload = _tupled(self._loads(data))
            good = isinstance(payload, tuple) and _allowed(payload, 0) and self.dump(payload) == data
        except Exception:  # whatever a decoder raises for at most 108 bytes of noise, they are not a payload
            return None
        return payload if good else None


class Cbor2Decoder:
    """Bytes in, (outcome, fields) out: a frame's fields end with its payload as a tuple."""

    def __init__(self, codec: Cbor2Codec) -> None:
        self._codec = codec
        self._receiver = frame.Receiver()

    def feed(self, data: bytes) -> list[tuple]:
        return [self._one(outcome, fields) for outcome, fields in self._receiver.feed(data)]

    def _one(self, outcome: int, fields: tuple | None) -> tuple:
        if fields is None:
            return outcome, None
        payload = self._codec.load(fields[-1])
        if payload is None:
            return frame.PAYLOAD, None
        return outcome, fields[:-1] + (payload,)


def _allowed(value: object, nesting: int) -> bool:
    """Whether a value may be part of a payload: exactly these types, since subclasses encode otherwise."""
    kind = type(value)
    if kind is int:
        return _LOWEST_INT <= value <= _HIGHEST_INT  # type: ignore[operator]
    if kind is tuple:
        if nesting == MAX_NESTING:
            return False
        return all([_allowed(item, nesting + 1) for item in value])  # type: ignore[attr-defined]
    return value is None or kind is bool or kind is bytes or kind is str


def _listed(value):
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _tupled(value):
    return tuple([_tupled(item) for item in value]) if isinstance(value, list) else value
