/* The virtual board's one clock, and its random numbers. */
#ifndef PLIMSOLL_CLOCK_H
#define PLIMSOLL_CLOCK_H

#include <stdint.h>

/*
 * The board's time in microseconds, monotonic. It goes as fast as this machine's, but stands still while the process
 * does not run: no watchdog of real hardware bites because some other program had the processor.
 */
uint64_t clock_us(void);

/* A sequence that its seed decides (SplitMix64): faults replay under --seed. */
uint32_t random_next(uint64_t *seed);

#endif
