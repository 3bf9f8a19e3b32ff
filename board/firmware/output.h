/*
 * The output stage: what is asked of the output, and whether it follows. De-energised is the meaning of false.
 */
#ifndef PLIMSOLL_OUTPUT_H
#define PLIMSOLL_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct output {
    bool wanted;             /* at the last sample */
    bool differs;            /* the read-back is not what is wanted */
    uint16_t differing_ms;   /* for how long, since the first sample that showed it */
    uint16_t unsampled_ms;   /* age of the last read-back */
};

void output_advance(struct output *output, uint32_t elapsed_ms);

/* Take what is wanted now and what the output reads; a new wish may take its time anew. */
void output_sample(struct output *output, bool wanted, bool energised);

/* Whether the output has not followed for longer than P_READBACK_MS. */
bool output_is_stuck(const struct output *output);

#endif
