/*
 * The control port, UART1: stands in for what mps2-an505 lacks. Its contact, its entropy, and a person at the bench.
 * Tests reach it through cable.py.
 *
 * A line is a number and a command; its answer is a line of that number and JSON; one at a time. Who asked again, because
 * a reset may have swallowed the first, knows by the number whose answer it is. All is the loop's but the contact, which
 * changes in the receive interrupt, at any point of what the firmware does, and raises the contact's interrupt as an edge
 * does.
 *
 *     contact a|b|both open|closed    edge on|off (off: only the poll sees the contact)    state
 *     freeze MS|on    reboot    readback stuck|ok    entropy HEX (32 digits; asked for once after power-on)
 */
#ifndef PLIMSOLL_QEMU_CONTROL_H
#define PLIMSOLL_QEMU_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

enum { CONTROL_LINE = 64, CONTROL_SEED = 4 }; /* bytes of a command; words of entropy */

/* The bench: what the commands set and what the firmware's timestamps say. Times in microseconds of the machine. */
struct bench {
    volatile uint8_t contacts; /* P_CONTACT_*, set when closed: the pins */
    volatile bool edges;       /* the contact's interrupt is wired */
    bool stuck;                /* the read-back is energised whatever the output is: a welded relay */
    bool frozen;
    uint32_t frozen_ms;        /* how long the loop stands still; 0 for good */
    bool reboot;
    uint32_t jump_ms;          /* the millisecond counter is to jump to so many before its end; 0: it is not */
    bool seeded;
    uint32_t boots;            /* since power-on */
    uint32_t seed[CONTROL_SEED];
    volatile uint32_t opened_us;  /* the contact opened */
    volatile uint32_t off_us;     /* the output went off after it */
    volatile uint32_t latched_us; /* the machine's state was no longer RUN after it */
    uint32_t heard_us;            /* the host's last right answer, to the millisecond */
    volatile uint32_t dark_us;    /* the output last went from on to off */
    volatile bool awaits_off;     /* neither was seen yet */
    volatile bool awaits_latch;
};

struct core;
struct uart;

/* From the receive interrupt: takes what arrived. */
void control_on_rx(struct uart *uart, struct bench *bench);

/* Carries out the command that arrived, if there is one, and answers. */
void control_turn(struct uart *uart, struct bench *bench, const struct core *core);

#endif
