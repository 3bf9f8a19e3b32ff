/*
 * The hardware that the firmware believes it runs on: contacts with interrupts, an output with a read-back, a
 * millisecond counter, a watchdog, and a line. One step is one turn of the firmware's loop.
 */
#ifndef PLIMSOLL_MACHINE_H
#define PLIMSOLL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "../firmware/firmware.h"
#include "line.h"
#include "port.h"

enum { MACHINE_STEP_BYTES = 512, MACHINE_FOREVER = -1 };

struct machine {
    struct core core;
    struct core_config config;
    struct port port;
    struct line line;
    uint8_t contacts;       /* as they are, closed bits set */
    bool output;            /* the pin */
    bool read_back_stuck;   /* reads energised whatever the pin does: a welded relay */
    uint64_t seed;
    uint64_t origin_us;     /* when the millisecond counter was 0 */
    uint64_t fed_us;        /* when the watchdog was fed */
    uint64_t frozen_until_us; /* the loop stands still until then */
    uint64_t opened_us;     /* when a contact opened while the output was on; 0: no measurement under way */
    uint64_t latency_us;    /* from there to output off and latched, the last time */
    uint32_t resets;
};

void machine_init(struct machine *machine, const char *link, uint64_t seed, bool two_channels, uint32_t uptime_ms);

/* One turn of the loop, if it is not frozen; the watchdog bites either way. */
void machine_step(struct machine *machine);

/* Set the contacts; an opening interrupts the firmware at once. */
void machine_set_contacts(struct machine *machine, uint8_t contacts);

/* Stop the firmware's loop for some milliseconds, or MACHINE_FOREVER, or 0 to let it go on. */
void machine_freeze(struct machine *machine, int64_t milliseconds);

/* Make the millisecond counter jump to so many before it begins again at 0. */
void machine_jump(struct machine *machine, uint32_t left_ms);

bool machine_is_frozen(const struct machine *machine);

void machine_reset(struct machine *machine, uint8_t cause);

#endif
