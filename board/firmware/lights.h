/*
 * What the LEDs and the matrix show: a pure function of the board's own truth and of what the host asked for.
 *
 * The host only requests. Red is steady while tripped, before any host was heard too; green appears in RUN with a
 * live host and never else, whatever was requested.
 */
#ifndef PLIMSOLL_LIGHTS_H
#define PLIMSOLL_LIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol.h"

enum { LIGHTS_PIXELS = P_MATRIX_ROWS * P_MATRIX_COLUMNS };

enum light { LIGHT_OFF = 0, LIGHT_BLUE = 1, LIGHT_GREEN = 2, LIGHT_RED = 4, LIGHT_AMBER = LIGHT_RED | LIGHT_GREEN };

/* The host's last LIGHTS of this session. */
struct lights_request {
    bool given;
    uint8_t status; /* P_STATUS_* */
    int16_t net;    /* contracts, signed */
    int32_t pnl_usd;
};

struct lights {
    uint8_t board;                 /* first RGB LED: the board's state; bits of enum light */
    uint8_t host;                  /* second RGB LED: the host's status */
    uint8_t pixel[LIGHTS_PIXELS];  /* row by row from the top left, 0 to P_MATRIX_BRIGHTEST */
};

void core_lights(uint8_t state, uint16_t faults, uint8_t contacts, bool live, const struct lights_request *request,
                 uint32_t now_ms, struct lights *lights);

#endif
