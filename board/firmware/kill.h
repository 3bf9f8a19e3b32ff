/*
 * The switch: two normally closed contacts, sampled every millisecond, and an interrupt on each.
 *
 * The first open sample is an opening, whatever follows: only the release is debounced. Two channels that differ
 * for longer than P_DISCREPANCY_MS contradict each other: a welded contact or a short circuit.
 */
#ifndef PLIMSOLL_KILL_H
#define PLIMSOLL_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol.h"

struct kill {
    uint8_t channels;         /* mask of the contacts this board has */
    uint8_t contacts;         /* closed ones, as last sampled; none before the first sample */
    volatile bool opened;     /* set by the interrupt, cleared by the next sample */
    uint16_t unsampled_ms;    /* age of the last sample */
    uint16_t closed_ms;       /* for how long every sample was closed, as far as it was looked at */
    uint16_t differing_ms;    /* age of the first sample since the channels differ */
};

void kill_init(struct kill *kill, bool two_channels);
void kill_advance(struct kill *kill, uint32_t elapsed_ms);

/* Take the contacts as they are (P_CONTACT_* bits, set when closed); true when one just opened. */
bool kill_sample(struct kill *kill, uint8_t contacts);

bool kill_is_released(const struct kill *kill);
bool kill_is_contradictory(const struct kill *kill);
bool kill_is_fully_open(const struct kill *kill);

#endif
