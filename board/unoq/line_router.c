/*
 * Guest of Arduino's router: MessagePack-RPC on the UART, a stream of messages without frames or checksum.
 *
 *     [0, 1, "$/register", ["plimsoll/down"]]    to the router, until something comes down
 *     [2, "plimsoll/down", [bin]]                from it, some of the host's bytes
 *     [2, "plimsoll/up", [bin]]                  to it, one whole frame: the router may change messages' order
 *
 * Spoken here, not by Arduino_RouterBridge: its begin() asks once and waits for ever, and this firmware is up long
 * before the router; its calls wait for each other, and the core's loop for them. Here no answer is waited for or
 * read: bytes that come down are the answer, and without any for ASK_MS the register is asked for again, which also
 * finds a router that was restarted. What is no message down, damaged ones too, is passed over until the next one
 * begins; what damage is left in a frame its own checksum finds.
 */
#include <stdbool.h>
#include <string.h>

#include "line.h"

#define ASK_MS P_BOARD_SILENCE_MS /* a live host sends five times as often; 33 bytes of it are 1 % of the wire */

const uint8_t line_target = P_TARGET_UNOQ_GUEST;

/* Messages up to their byte string's length. The first byte of DOWN is nowhere else in it. */
static const uint8_t ASK[] = "\x94\x00\x01\xaa" "$/register" "\x91\xad" "plimsoll/down";
static const uint8_t DOWN[] = "\x93\x02\xad" "plimsoll/down" "\x91\xc4";
static const uint8_t UP[] = "\x93\x02\xab" "plimsoll/up" "\x91\xc4";
enum { ASK_SIZE = sizeof ASK - 1, DOWN_SIZE = sizeof DOWN - 1, UP_SIZE = sizeof UP - 1 };

_Static_assert(UP_SIZE + 1 == (int)LINE_ENVELOPE && ASK_SIZE <= (int)LINE_MESSAGE, "what is sent has room");
_Static_assert(LINE_MESSAGE <= 256 && P_MAX_FRAME <= 255, "the router drops longer ones; one byte says a length");

static size_t matched;    /* bytes of DOWN seen in a row */
static size_t left;       /* bytes still to come of a message's byte string */
static uint32_t since_ms; /* something came down, or the register was asked for */
static bool asked;

size_t line_unwrap(uint8_t *bytes, size_t size, uint32_t now_ms)
{
    size_t kept = 0;

    for (size_t index = 0; index < size; index++) {
        const uint8_t byte = bytes[index];
        if (left > 0) {
            left--;
            bytes[kept++] = byte;
            since_ms = now_ms;
        } else if (matched == DOWN_SIZE) {
            matched = 0;
            left = byte;
        } else {
            matched = byte == DOWN[matched] ? matched + 1 : byte == DOWN[0] ? 1 : 0;
        }
    }
    return kept;
}

size_t line_wrap(uint8_t out[LINE_MESSAGE], const uint8_t *frame, size_t size, uint32_t now_ms)
{
    if (size > 0) {
        memcpy(out, UP, UP_SIZE);
        out[UP_SIZE] = (uint8_t)size;
        memcpy(out + UP_SIZE + 1, frame, size);
        return UP_SIZE + 1 + size;
    }
    if (asked && now_ms - since_ms < ASK_MS) {
        return 0;
    }
    asked = true;
    since_ms = now_ms;
    memcpy(out, ASK, ASK_SIZE);
    return ASK_SIZE;
}
