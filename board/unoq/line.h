/*
 * How the link's frames lie on the UART to Linux, chosen when the sketch is put together: `line_uart.c` as they are,
 * for a service that owns the port, `line_router.c` in messages of Arduino's router, for one that is its guest.
 *
 * Bytes in, bytes out: no hardware, nothing waits, and nothing is owed by the other end. The kill path, the deadman
 * and the watchdog therefore depend on no line, whichever it is and whoever answers on it.
 */
#ifndef PLIMSOLL_LINE_H
#define PLIMSOLL_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"

enum {
    LINE_ENVELOPE = 17,                         /* bytes around a frame, at most */
    LINE_MESSAGE = P_MAX_FRAME + LINE_ENVELOPE, /* bytes to send at once */
};

/* What WELCOME says that the board is: P_TARGET_*. */
extern const uint8_t line_target;

/* Keep of what arrived the bytes that are the link's, in place; returns how many. */
size_t line_unwrap(uint8_t *bytes, size_t size, uint32_t now_ms);

/* What to send: the frame as the line has it, or with `size` 0 what the line itself has to say, 0 for nothing. */
size_t line_wrap(uint8_t out[LINE_MESSAGE], const uint8_t *frame, size_t size, uint32_t now_ms);

#endif
