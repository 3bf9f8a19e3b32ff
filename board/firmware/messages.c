/* The table of messages.h and its two readers. */
#include "messages.h"

#include "cbor.h"

enum kind { U8, U16, U32, I16, I32, HASH, STATE, CAUSE, CONTACTS, TARGET, STATUS, KINDS };

struct bounds {
    int64_t lowest;
    int64_t highest;
};

static const struct bounds BOUNDS[KINDS] = {
    [U8] = {0, UINT8_MAX},
    [U16] = {0, UINT16_MAX},
    [U32] = {0, UINT32_MAX},
    [I16] = {INT16_MIN, INT16_MAX},
    [I32] = {INT32_MIN, INT32_MAX},
    [STATE] = {P_STATE_TRIPPED, P_STATE_FAULT},
    [CAUSE] = {P_CAUSE_NONE, P_CAUSE_FAULT},
    [CONTACTS] = {0, P_CONTACT_A | P_CONTACT_B},
    [TARGET] = {P_TARGET_UNOQ, P_TARGET_UNOQ_GUEST},
    [STATUS] = {P_STATUS_STARTING, P_STATUS_FAULT},
};

struct layout {
    uint8_t type;
    uint8_t count;
    uint8_t kind[MESSAGE_FIELDS];
};

static const struct layout LAYOUTS[] = {
    {P_TYPE_HELLO, 1, {U32}},
    {P_TYPE_HOST_BEAT, 2, {U32, U32}},
    {P_TYPE_ACK, 1, {U16}},
    {P_TYPE_ARM, 1, {U32}},
    {P_TYPE_STOP, 0, {0}},
    {P_TYPE_LIGHTS, 3, {STATUS, I16, I32}},
    {P_TYPE_WELCOME, 6, {U32, HASH, TARGET, U8, U32, U8}},
    {P_TYPE_BOARD_BEAT, 8, {U32, U32, STATE, CONTACTS, U16, U32, U16, CAUSE}},
    {P_TYPE_TRIP, 3, {U16, CAUSE, U32}},
    {P_TYPE_FAULTS, 2, {U16, U32}},
    {P_TYPE_COUNTERS, 8, {U32, U32, U32, U32, U32, U32, U32, U32}},
};

static const struct layout *layout_of(uint8_t type)
{
    for (size_t index = 0; index < sizeof LAYOUTS / sizeof LAYOUTS[0]; index++) {
        if (LAYOUTS[index].type == type) {
            return &LAYOUTS[index];
        }
    }
    return NULL;
}

bool message_read(uint8_t type, const uint8_t *payload, size_t size, struct message *message)
{
    const struct layout *layout = layout_of(type);
    struct cbor_reader reader = {.data = payload, .size = size};

    if (layout == NULL || cbor_take_array(&reader) != layout->count) {
        return false;
    }
    message->type = type;
    for (size_t index = 0; index < layout->count; index++) {
        const struct bounds *bounds = &BOUNDS[layout->kind[index]];

        if (layout->kind[index] == HASH) {
            cbor_take_bytes(&reader, message->hash, P_HASH_SIZE);
        } else {
            message->field[index] = (uint32_t)cbor_take_integer(&reader, bounds->lowest, bounds->highest);
        }
    }
    return !reader.failed && reader.at == reader.size;
}

size_t message_write(const struct message *message, uint8_t payload[P_MAX_PAYLOAD])
{
    const struct layout *layout = layout_of(message->type);
    struct cbor_writer writer = {.data = payload, .room = P_MAX_PAYLOAD};

    if (layout == NULL) {
        return 0;
    }
    cbor_put_array(&writer, layout->count);
    for (size_t index = 0; index < layout->count; index++) {
        uint32_t value = message->field[index];

        if (layout->kind[index] == HASH) {
            cbor_put_bytes(&writer, message->hash, P_HASH_SIZE);
        } else if (BOUNDS[layout->kind[index]].lowest < 0) {
            cbor_put_integer(&writer, (int32_t)value);
        } else {
            cbor_put_integer(&writer, value);
        }
    }
    return writer.failed ? 0 : writer.size;
}
