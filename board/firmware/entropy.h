/*
 * Challenges and nonces: a 64-bit pool stirred by the hardware's entropy and by when bytes arrive.
 *
 * They must be fresh and not guessable from outside, so that no recording of the link is an answer. They are no
 * keys: whoever can read the board's memory or compute on its wire is beyond what this link defends against.
 */
#ifndef PLIMSOLL_ENTROPY_H
#define PLIMSOLL_ENTROPY_H

#include <stdint.h>

struct entropy {
    uint64_t pool;
};

void entropy_stir(struct entropy *entropy, uint32_t more);

/* A number that is neither 0, which stands for none, nor its complement, whose answer would be 0. */
uint32_t entropy_take(struct entropy *entropy);

#endif
