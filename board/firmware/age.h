/*
 * Time in the firmware: ages in milliseconds that saturate, instead of instants to subtract.
 *
 * Every module is told how much time went by and lets its ages grow. So nothing depends on where the board's
 * 32-bit millisecond counter stands or wraps, and a clock that jumps, either way, makes things old: silence is
 * noticed too early rather than never.
 */
#ifndef PLIMSOLL_AGE_H
#define PLIMSOLL_AGE_H

#include <stdint.h>

enum { AGE_OLDEST = UINT16_MAX }; /* ms: beyond every limit of the protocol */

static inline uint16_t age_grown(uint16_t age, uint32_t elapsed_ms)
{
    return elapsed_ms >= (uint32_t)(AGE_OLDEST - age) ? (uint16_t)AGE_OLDEST : (uint16_t)(age + elapsed_ms);
}

#endif
