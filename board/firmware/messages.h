/*
 * The messages of the link as one table: type, fields in their order, bounds of each. No behaviour lives here.
 */
#ifndef PLIMSOLL_MESSAGES_H
#define PLIMSOLL_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"

enum { MESSAGE_FIELDS = 8 }; /* at most; BEAT and COUNTERS of the board have as many */

struct message {
    uint8_t type;
    uint32_t field[MESSAGE_FIELDS]; /* by position; negative numbers as two's complement, the hash's place unused */
    uint8_t hash[P_HASH_SIZE];      /* of WELCOME */
};

/* Read a payload that cbor_is_payload accepted. False unless it is just that message: a known type, the number of
 * its fields, each of its kind and within its bounds. */
bool message_read(uint8_t type, const uint8_t *payload, size_t size, struct message *message);

/* Write the payload of a message; returns its size, 0 for an unknown type. */
size_t message_write(const struct message *message, uint8_t payload[P_MAX_PAYLOAD]);

#endif
