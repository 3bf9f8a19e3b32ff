/* Numbers and words put into a line. */
#include "text.h"

void text_character(struct text *text, char one)
{
    if (text->size < TEXT_LINE) {
        text->data[text->size++] = one;
    }
}

void text_put(struct text *text, const char *more)
{
    for (; *more != '\0'; more++) {
        text_character(text, *more);
    }
}

void text_number(struct text *text, uint32_t number)
{
    if (number >= 10u) {
        text_number(text, number / 10u);
    }
    text_character(text, (char)('0' + number % 10u));
}

void text_field(struct text *text, const char *name, uint32_t number)
{
    if (text->size > 0 && text->data[text->size - 1] != '{') {
        text_character(text, ',');
    }
    text_character(text, '"');
    text_put(text, name);
    text_put(text, "\":");
    text_number(text, number);
}
