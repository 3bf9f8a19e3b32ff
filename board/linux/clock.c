/* Implements clock.h on Linux. */
#define _GNU_SOURCE
#include "clock.h"

#include <time.h>

#include "../protocol.h"

/* Between two looks at the clock, which the loop takes every millisecond, frozen or not: as much as makes a beat due, so
 * that a process which rarely runs says no less. */
enum { GAP_US = P_BEAT_MS * 1000 };

static uint64_t monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t clock_us(void)
{
    static uint64_t looked_us;
    static uint64_t board_us;
    uint64_t now_us = monotonic_us();
    uint64_t gap_us = looked_us == 0 ? 0 : now_us - looked_us;

    looked_us = now_us;
    return board_us += gap_us < GAP_US ? gap_us : GAP_US;
}

uint32_t random_next(uint64_t *seed)
{
    uint64_t value = *seed += 0x9E3779B97F4A7C15u;

    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((value ^ value >> 31) >> 32);
}
