/*
 * The deadman: whether the host lives, shown by answers to challenges and by nothing else.
 *
 * An answer is right when it is the complement of one of the last P_CHALLENGES challenges, sent no longer than
 * P_BOARD_SILENCE_MS ago and after the challenge that was answered before. So each counts once, and bytes that are
 * replayed, looped back or made by a hung host prove nothing.
 */
#ifndef PLIMSOLL_DEADMAN_H
#define PLIMSOLL_DEADMAN_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol.h"

struct challenge {
    uint32_t number; /* 0: none, or answered, or older than one that was */
    uint16_t age_ms;
};

struct deadman {
    struct challenge sent[P_CHALLENGES]; /* a ring */
    uint8_t next;                        /* its oldest, overwritten next */
    uint16_t silent_ms;                  /* since the last right answer */
    bool live;
};

/* Let time go by; true at the moment a live host became silent. */
bool deadman_advance(struct deadman *deadman, uint32_t elapsed_ms);

void deadman_sent(struct deadman *deadman, uint32_t challenge);

/* Take an answer; whether it was right. */
bool deadman_answered(struct deadman *deadman, uint32_t answer);

#endif
