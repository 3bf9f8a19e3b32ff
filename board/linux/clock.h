/* The virtual board's one clock, and its random numbers. */
#ifndef PLIMSOLL_CLOCK_H
#define PLIMSOLL_CLOCK_H

#include <stdint.h>

/* Monotonic time in microseconds. */
uint64_t clock_us(void);

/* A sequence that its seed decides (SplitMix64): faults replay under --seed. */
uint32_t random_next(uint64_t *seed);

#endif
