/*
 * The link's subset of CBOR (RFC 8949), read strictly and written in its one form. No message is known here.
 *
 * A payload is one array of integers from -2^63 to 2^64 - 1, booleans, null, byte strings, UTF-8 text and
 * further arrays, P_MAX_NESTING deep at most, each in its shortest form and of stated length, and nothing after
 * it. Writing needs integers and byte strings only. Reader and writer latch their first failure, so a caller asks
 * once at the end.
 */
#ifndef PLIMSOLL_CBOR_H
#define PLIMSOLL_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cbor_major {
    CBOR_UNSIGNED = 0x00,
    CBOR_NEGATIVE = 0x20,
    CBOR_BYTES = 0x40,
    CBOR_TEXT = 0x60,
    CBOR_ARRAY = 0x80,
    CBOR_SIMPLE = 0xE0,
};

struct cbor_reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

struct cbor_writer {
    uint8_t *data;
    size_t room;
    size_t size;
    bool failed;
};

/* Whether the bytes are exactly one payload of the subset above. */
bool cbor_is_payload(const uint8_t *data, size_t size);

/* Begin an item: its major type and the number in its head, in shortest form only. */
uint64_t cbor_take_head(struct cbor_reader *reader, uint8_t *major);

/* The next item if it is an array, an integer within the bounds, or a byte string of just this size. */
size_t cbor_take_array(struct cbor_reader *reader);
int64_t cbor_take_integer(struct cbor_reader *reader, int64_t lowest, int64_t highest);
void cbor_take_bytes(struct cbor_reader *reader, uint8_t *out, size_t size);

void cbor_put_array(struct cbor_writer *writer, size_t count);
void cbor_put_integer(struct cbor_writer *writer, int64_t value);
void cbor_put_bytes(struct cbor_writer *writer, const uint8_t *data, size_t size);

#endif
