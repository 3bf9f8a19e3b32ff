/* A line of JSON under construction: no printf, which would be most of the firmware. Overlong lines are cut. */
#ifndef PLIMSOLL_QEMU_TEXT_H
#define PLIMSOLL_QEMU_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT_LINE = 1024 };

struct text {
    size_t size;
    char data[TEXT_LINE];
};

void text_put(struct text *text, const char *more);
void text_character(struct text *text, char one);
void text_number(struct text *text, uint32_t number);

/* `"name":number` with a comma before it unless it is the first of its object. */
void text_field(struct text *text, const char *name, uint32_t number);

#endif
