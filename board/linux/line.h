/*
 * The line between firmware and cable, with the faults a line can have. Frames of the board come in whole and leave
 * as bytes, damaged as ordered; what a fault does not touch passes unchanged.
 */
#ifndef PLIMSOLL_LINE_H
#define PLIMSOLL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"
#include "port.h"

enum {
    LINE_REPLAY_MS = 2000, /* how far back a replay reaches */
    LINE_REPLAY_FRAMES = 512, /* frames kept for it: 2 s hold about 45, and 100 BEATs a second at the very most */
    LINE_BYTES_PER_MS = 12, /* P_BAUD / 10,000, rounded up: how fast a stuck line repeats its byte */
};

struct sent_frame {
    uint64_t at_us;
    uint8_t size;
    uint8_t data[P_MAX_FRAME];
};

struct line {
    struct port *port;
    uint64_t seed;
    /* how many of the next frames */
    uint32_t corrupt;
    uint32_t drop;
    uint32_t duplicate;
    uint32_t swap;
    uint32_t truncate;
    uint32_t noise; /* random bytes still to be sent */
    uint8_t stuck_byte;
    uint64_t stuck_until_us;
    uint8_t version; /* what frames pretend; P_VERSION: the truth */
    bool loop;       /* the host's bytes go back to it; the firmware hears and says nothing */
    struct sent_frame held; /* overtaken by the next frame; size 0: none */
    struct sent_frame sent[LINE_REPLAY_FRAMES]; /* a ring */
    size_t next;
};

void line_init(struct line *line, struct port *port, uint64_t seed);

/* Read bytes for the firmware; on a loop there are none. */
size_t line_read(struct line *line, uint8_t *data, size_t room);

/* Send a frame of the firmware. */
void line_send(struct line *line, const uint8_t *data, size_t size, uint64_t now_us);

/* Send again what left in the last LINE_REPLAY_MS; returns how many frames. */
size_t line_replay(struct line *line, uint64_t now_us);

/* A millisecond passed: go on with noise and a stuck byte. */
void line_tick(struct line *line, uint64_t now_us);

#endif
