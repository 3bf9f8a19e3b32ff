/*
 * The board's state machine as a table; the pictures in board/README.md are generated from states.c.
 */
#ifndef PLIMSOLL_STATES_H
#define PLIMSOLL_STATES_H

#include <stdint.h>

enum { STATES = 4, STAY = 0xFF }; /* STAY: the event means nothing in this state; ignored and counted */

enum event {
    EVENT_CLEAR,     /* released, live, acknowledged, no fault, a quiet line */
    EVENT_ARM,       /* ARM with the current nonce */
    EVENT_OPEN,      /* a contact opened */
    EVENT_SILENT,    /* no right answer for P_BOARD_SILENCE_MS */
    EVENT_STOP,      /* STOP */
    EVENT_SESSION,   /* HELLO of a new session */
    EVENT_NOISE,     /* more than P_NOISE_LIMIT bad frames in the window */
    EVENT_PROTOCOL,  /* a frame of another version or session */
    EVENT_FAULT,     /* a discrepancy or a stuck output was found */
    EVENT_BOTH_OPEN, /* after a discrepancy all channels were seen open together, and the output is well */
    EVENTS,
};

/* The state after an event, or STAY. Returning to the same state is an event that is heard all the same. */
uint8_t state_after(uint8_t state, enum event event);

/* The cause (P_CAUSE_*) of the trip that an event is; P_CAUSE_NONE if it is none. */
uint8_t cause_of(enum event event);

#endif
