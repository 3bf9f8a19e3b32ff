/* The finaliser is that of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
#include "entropy.h"

static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

void entropy_stir(struct entropy *entropy, uint32_t more)
{
    entropy->pool = mixed(entropy->pool + more + 0x9E3779B97F4A7C15u);
}

uint32_t entropy_take(struct entropy *entropy)
{
    uint32_t number;

    do { /* at most a few turns: two of 2^32 values are refused, and the pool walks through all of its own */
        entropy->pool += 0x9E3779B97F4A7C15u;
        number = (uint32_t)(mixed(entropy->pool) >> 32);
    } while (number == 0 || number == 0xFFFFFFFFu);
    return number;
}
