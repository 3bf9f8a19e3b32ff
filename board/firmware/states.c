/* The table of states.h. A row is a state, a column an event; a script reads both, so keep to one line a row. */
#include "states.h"

#include "../protocol.h"

enum { TRIPPED = P_STATE_TRIPPED, READY = P_STATE_READY, RUN = P_STATE_RUN, FAULT = P_STATE_FAULT };

/* clang-format off */
static const uint8_t AFTER[STATES][EVENTS] = {
    /*            CLEAR  ARM   OPEN     SILENT   STOP     SESSION  NOISE    PROTOCOL FAULT  BOTH_OPEN */
    [TRIPPED] = { READY, STAY, TRIPPED, STAY,    STAY,    STAY,    STAY,    STAY,    FAULT, STAY    },
    [READY]   = { STAY,  RUN,  TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, FAULT, STAY    },
    [RUN]     = { STAY,  STAY, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, FAULT, STAY    },
    [FAULT]   = { STAY,  STAY, FAULT,   STAY,    STAY,    STAY,    STAY,    STAY,    STAY,  TRIPPED },
};

static const uint8_t CAUSE[EVENTS] = {
    [EVENT_OPEN] = P_CAUSE_SWITCH,
    [EVENT_SILENT] = P_CAUSE_LINK,
    [EVENT_STOP] = P_CAUSE_HOST,
    [EVENT_SESSION] = P_CAUSE_SESSION,
    [EVENT_NOISE] = P_CAUSE_NOISE,
    [EVENT_PROTOCOL] = P_CAUSE_PROTOCOL,
    [EVENT_FAULT] = P_CAUSE_FAULT,
};
/* clang-format on */

uint8_t state_after(uint8_t state, enum event event)
{
    return AFTER[state][event];
}

uint8_t cause_of(enum event event)
{
    return CAUSE[event];
}
