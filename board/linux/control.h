/* The control socket: a line of words in, a line of JSON out. What each word does to the machine is in the table. */
#ifndef PLIMSOLL_CONTROL_H
#define PLIMSOLL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "machine.h"

enum {
    CONTROL_LINE = 128,    /* bytes of a command: the longest is a quarter of it */
    CONTROL_ANSWER = 2048, /* bytes: the state with its matrix is half of it */
};

/* Carry out one command (without its line end) and put the answer, a line of JSON with its end, into out. */
void control_execute(struct machine *machine, char *line, char out[CONTROL_ANSWER]);

#endif
