/* Reads and writes the payload subset of cbor.h; iterative throughout, since stacks here are small. */
#include "cbor.h"

#include <string.h>

#include "../protocol.h"

enum { FALSE_BYTE = 0xF4, TRUE_BYTE = 0xF5, NULL_BYTE = 0xF6 };

static void reader_fail(struct cbor_reader *reader)
{
    reader->failed = true;
    reader->at = reader->size; /* what follows a failure is never read */
}

static size_t left(const struct cbor_reader *reader)
{
    return reader->size - reader->at;
}

/* The 1, 2, 4 or 8 bytes of a number that did not fit its head; of a longer form the upper half must not be empty. */
static uint64_t take_number(struct cbor_reader *reader, unsigned width)
{
    uint64_t number = 0;

    if (left(reader) < width) {
        reader_fail(reader);
        return 0;
    }
    for (unsigned index = 0; index < width; index++) {
        number = number << 8 | reader->data[reader->at++];
    }
    if (width == 1 ? number < 24 : number >> (4 * width) == 0) {
        reader_fail(reader);
        return 0;
    }
    return number;
}

uint64_t cbor_take_head(struct cbor_reader *reader, uint8_t *major)
{
    uint8_t initial;
    unsigned low;

    *major = CBOR_SIMPLE;
    if (left(reader) == 0) {
        reader_fail(reader);
        return 0;
    }
    initial = reader->data[reader->at++];
    *major = initial & 0xE0u;
    low = initial & 0x1Fu;
    if (low < 24) {
        return low;
    }
    if (low > 27 || *major == CBOR_SIMPLE) {
        reader_fail(reader);
        return 0;
    }
    return take_number(reader, 1u << (low - 24));
}

/* Bytes in the sequence that begins with this byte; 0 for one that begins none. RFC 3629, section 4. */
static size_t sequence_size(uint8_t first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* Whether the second byte keeps out overlong forms, surrogates and what lies above U+10FFFF. */
static bool second_fits(uint8_t first, uint8_t second)
{
    uint8_t lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

    return second >= lowest && second <= highest;
}

static bool is_utf8(const uint8_t *text, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t length = sequence_size(text[at]);

        if (length == 0 || length > size - at || (length > 1 && !second_fits(text[at], text[at + 1]))) {
            return false;
        }
        for (size_t index = 2; index < length; index++) {
            if ((text[at + index] & 0xC0u) != 0x80u) {
                return false;
            }
        }
        at += length;
    }
    return true;
}

static bool is_simple(uint8_t byte)
{
    return byte == FALSE_BYTE || byte == TRUE_BYTE || byte == NULL_BYTE;
}

/* Skip one item that is not an array. */
static bool leaf_is_allowed(struct cbor_reader *reader, uint8_t major, uint64_t number)
{
    const uint8_t *content = reader->data + reader->at;

    switch (major) {
    case CBOR_UNSIGNED:
        return true;
    case CBOR_NEGATIVE:
        return number >> 63 == 0;
    case CBOR_BYTES:
    case CBOR_TEXT:
        if (number > left(reader)) {
            return false;
        }
        reader->at += (size_t)number;
        return major == CBOR_BYTES || is_utf8(content, (size_t)number);
    case CBOR_SIMPLE:
        return is_simple(content[-1]);
    default:
        return false; /* maps and tags */
    }
}

bool cbor_is_payload(const uint8_t *data, size_t size)
{
    struct cbor_reader reader = {.data = data, .size = size};
    size_t open[P_MAX_NESTING] = {0}; /* items still to come in each array that is open */
    unsigned depth = 0;

    do {
        uint8_t major;
        uint64_t number = cbor_take_head(&reader, &major);

        if (reader.failed || (depth == 0 && major != CBOR_ARRAY)) {
            return false;
        }
        if (depth > 0) {
            open[depth - 1]--;
        }
        if (major == CBOR_ARRAY) {
            if (number > left(&reader) || depth == P_MAX_NESTING) {
                return false;
            }
            open[depth++] = (size_t)number;
        } else if (!leaf_is_allowed(&reader, major, number)) {
            return false;
        }
        while (depth > 0 && open[depth - 1] == 0) {
            depth--;
        }
    } while (depth > 0);
    return left(&reader) == 0;
}

size_t cbor_take_array(struct cbor_reader *reader)
{
    uint8_t major;
    uint64_t number = cbor_take_head(reader, &major);

    if (major != CBOR_ARRAY || number > left(reader)) {
        reader_fail(reader);
        return 0;
    }
    return (size_t)number;
}

int64_t cbor_take_integer(struct cbor_reader *reader, int64_t lowest, int64_t highest)
{
    uint8_t major;
    uint64_t number = cbor_take_head(reader, &major);
    int64_t value = 0;

    if ((major != CBOR_UNSIGNED && major != CBOR_NEGATIVE) || number >> 63 != 0) {
        reader_fail(reader);
        return 0;
    }
    value = major == CBOR_UNSIGNED ? (int64_t)number : -1 - (int64_t)number;
    if (value < lowest || value > highest) {
        reader_fail(reader);
        return 0;
    }
    return value;
}

void cbor_take_bytes(struct cbor_reader *reader, uint8_t *out, size_t size)
{
    uint8_t major;
    uint64_t number = cbor_take_head(reader, &major);

    if (major != CBOR_BYTES || number != size || size > left(reader)) {
        reader_fail(reader);
        return;
    }
    memcpy(out, reader->data + reader->at, size);
    reader->at += size;
}

static void put(struct cbor_writer *writer, uint8_t byte)
{
    if (writer->size == writer->room) {
        writer->failed = true;
        return;
    }
    writer->data[writer->size++] = byte;
}

static void put_head(struct cbor_writer *writer, uint8_t major, uint64_t number)
{
    unsigned low = number < 0x100 ? 24 : number < 0x10000 ? 25 : number >> 32 == 0 ? 26 : 27;
    unsigned width = 1u << (low - 24);

    if (number < 24) {
        put(writer, (uint8_t)(major | number));
        return;
    }
    put(writer, (uint8_t)(major | low));
    while (width > 0) {
        width--;
        put(writer, (uint8_t)(number >> (8 * width)));
    }
}

void cbor_put_array(struct cbor_writer *writer, size_t count)
{
    put_head(writer, CBOR_ARRAY, count);
}

void cbor_put_integer(struct cbor_writer *writer, int64_t value)
{
    if (value < 0) {
        put_head(writer, CBOR_NEGATIVE, (uint64_t)(-1 - value));
    } else {
        put_head(writer, CBOR_UNSIGNED, (uint64_t)value);
    }
}

void cbor_put_bytes(struct cbor_writer *writer, const uint8_t *data, size_t size)
{
    put_head(writer, CBOR_BYTES, size);
    for (size_t index = 0; index < size; index++) {
        put(writer, data[index]);
    }
}
