/*
 * The firmware of the board, whatever the board: what the hardware file of a target calls.
 *
 * No heap, no blocking, no hardware, no clock: the target brings bytes, contacts, the output's read-back and its
 * millisecond counter, and fetches bytes, the output's level, lights and leave to feed the watchdog. Everything is
 * called from one loop, at least once a millisecond, in this order; only core_opened may come from an interrupt.
 *
 *     core_contacts(core, hw_contacts(), now);          // set bit: closed
 *     core_read_back(core, hw_output_read(), now);
 *     core_receive(core, bytes, count, now);            // count may be 0
 *     core_tick(core, now);
 *     with interrupts off: hw_output(core_output(core));
 *     if (core_is_fresh(core)) hw_feed_watchdog();
 *     while the UART takes a frame: count = core_send(core, frame, now);
 *
 * The interrupt of a contact turns the output off itself, then calls core_opened. Interrupts are off around the
 * output's line above, so that an older decision cannot be written after the interrupt's.
 */
#ifndef PLIMSOLL_FIRMWARE_H
#define PLIMSOLL_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"
#include "deadman.h"
#include "entropy.h"
#include "kill.h"
#include "lights.h"
#include "link.h"
#include "output.h"
#include "states.h"

/* What the target knows at boot. */
struct core_config {
    uint8_t target;      /* P_TARGET_* */
    uint8_t reset_cause; /* P_RESET_* */
    bool two_channels;
    uint8_t hash[P_HASH_SIZE];
    uint32_t entropy[4]; /* from the hardware's source; the firmware stirs in arrival times */
};

/* The last trip that the host must hear of. */
struct trip {
    uint16_t id; /* counts from 1, never 0 */
    uint8_t cause;
    uint32_t at_ms;
    bool acknowledged;
};

/* What is due to be sent; ages since the last of each kind. */
struct reports {
    bool welcome;
    bool welcomed; /* nothing precedes the session's first WELCOME */
    bool foreign;  /* a host of another version is there, to which this board would seem dead */
    bool changed;  /* state, contacts, faults or trip: BEAT does not wait for its turn */
    bool trip;     /* a trip not sent yet */
    bool faults;
    uint16_t beat_ms;
    uint16_t trip_ms;
    uint16_t counters_ms;
};

struct core {
    struct core_config config;
    struct kill kill;
    struct deadman deadman;
    struct link link;
    struct output output;
    struct entropy entropy;
    struct reports reports;
    struct trip trip;
    struct lights_request request;
    uint32_t now_ms;
    uint32_t boot_id;
    uint32_t uptime_s;
    uint32_t uptime_rest_ms;
    uint32_t host_nonce;
    uint32_t host_challenge;
    bool host_challenged; /* a challenge of this session is there to be answered */
    uint8_t state;
    uint8_t cause; /* of the last trip, STOP included */
    uint16_t faults;
    uint32_t faults_since_ms;
    uint32_t arm_nonce; /* 0 outside READY */
    uint32_t ignored;   /* events that meant nothing in their state, and ARM or ACK with a wrong number */
    uint16_t unpolled_ms; /* age of the last core_receive */
};

/* Boot: tripped, output off, a trip with cause BOOT to be acknowledged. */
void core_init(struct core *core, const struct core_config *config, uint32_t now_ms);

void core_contacts(struct core *core, uint8_t contacts, uint32_t now_ms);
void core_read_back(struct core *core, bool energised, uint32_t now_ms);
void core_receive(struct core *core, const uint8_t *data, size_t size, uint32_t now_ms);
void core_tick(struct core *core, uint32_t now_ms);

/* From the interrupt of a contact: an open sample, even if no poll sees it. */
void core_opened(struct core *core);

/* Bytes that the hardware lost, for the counters. */
void core_overrun(struct core *core, uint32_t count);

/* More entropy, whenever the hardware has some. */
void core_stir(struct core *core, uint32_t more);

/* The level the output must have now. */
bool core_output(const struct core *core);

/* Whether input, read-back and link all ran within P_FRESH_MS: only then may the watchdog be fed. */
bool core_is_fresh(const struct core *core);

/* The next frame to send, most urgent first; returns its size, 0 for none. */
size_t core_send(struct core *core, uint8_t out[P_MAX_FRAME], uint32_t now_ms);

/* The lights as they are now. */
void core_show(const struct core *core, struct lights *lights);

/* For the firmware's own files: let time go by. */
void core_advance(struct core *core, uint32_t now_ms);

#endif
