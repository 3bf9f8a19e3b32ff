/*
 * Bad frames over a sliding window, exact to the millisecond: the ages of the last P_NOISE_LIMIT + 1 of them.
 */
#ifndef PLIMSOLL_NOISE_H
#define PLIMSOLL_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol.h"

enum { NOISE_KEPT = P_NOISE_LIMIT + 1 };

struct noise {
    uint16_t age_ms[NOISE_KEPT]; /* a ring */
    uint8_t next;                /* its oldest, overwritten next */
};

void noise_init(struct noise *noise);
void noise_advance(struct noise *noise, uint32_t elapsed_ms);
void noise_add(struct noise *noise);

/* Whether more than P_NOISE_LIMIT bad frames came within the last P_NOISE_WINDOW_MS. */
bool noise_is_too_much(const struct noise *noise);

#endif
