/* Doors into the firmware for tests in Python: plain integers instead of structures. Not part of any board. */
#include <string.h>

#include "../../board/firmware/cbor.h"
#include "../../board/firmware/firmware.h"

size_t probe_size(void)
{
    return sizeof(struct core);
}

void probe_init(struct core *core, uint8_t reset_cause, bool two_channels, uint32_t seed, uint32_t now_ms)
{
    struct core_config config = {
        .target = P_TARGET_LINUX,
        .reset_cause = reset_cause,
        .two_channels = two_channels,
        .hash = {1, 2, 3, 4, 5, 6, 7, 8},
        .entropy = {seed},
    };

    core_init(core, &config, now_ms);
}

enum probed { STATE, CAUSE, CONTACTS, FAULTS, LIVE, ARM_NONCE, TRIP_ID, TRIP_CAUSE, ACKNOWLEDGED, SESSION, IGNORED, PROBED };

void probe_read(const struct core *core, uint32_t values[PROBED])
{
    values[STATE] = core->state;
    values[CAUSE] = core->cause;
    values[CONTACTS] = core->kill.contacts;
    values[FAULTS] = core->faults;
    values[LIVE] = core->deadman.live;
    values[ARM_NONCE] = core->arm_nonce;
    values[TRIP_ID] = core->trip.id;
    values[TRIP_CAUSE] = core->trip.cause;
    values[ACKNOWLEDGED] = core->trip.acknowledged;
    values[SESSION] = core->link.session;
    values[IGNORED] = core->ignored;
}

/* As after so many trips. */
void probe_set_trip_id(struct core *core, uint16_t id)
{
    core->trip.id = id;
}

/* good, bad, duplicate, looped, wrong_session, wrong_version, overrun */
void probe_counters(const struct core *core, uint32_t values[7])
{
    const struct link_counters *counters = &core->link.counters;
    const uint32_t read[7] = {counters->good,          counters->bad,           counters->duplicate, counters->looped,
                              counters->wrong_session, counters->wrong_version, counters->overrun};

    memcpy(values, read, sizeof read);
}

void probe_lights(uint8_t state, uint16_t faults, uint8_t contacts, bool live, bool given, uint8_t status, int16_t net,
                  int32_t pnl_usd, uint32_t now_ms, uint8_t out[2 + LIGHTS_PIXELS])
{
    struct lights_request request = {.given = given, .status = status, .net = net, .pnl_usd = pnl_usd};
    struct lights lights;

    core_lights(state, faults, contacts, live, &request, now_ms, &lights);
    out[0] = lights.board;
    out[1] = lights.host;
    memcpy(out + 2, lights.pixel, LIGHTS_PIXELS);
}

/* Feed bytes to a new decoder; outcomes of ended frames go to out, the last good one's fields to header and payload.
 * An intact frame that is no message counts as PROBE_MESSAGE. Returns how many outcomes there were. */
enum { PROBE_MESSAGE = 7 };

size_t probe_decode(const uint8_t *data, size_t size, uint8_t *out, uint32_t header[6], uint8_t *payload,
                    size_t *payload_size)
{
    struct frame_decoder decoder = {0};
    struct frame frame;
    struct message message;
    size_t count = 0;

    for (size_t at = 0; at < size; at++) {
        enum frame_outcome outcome = frame_decode(&decoder, data[at], &frame);

        if (outcome == FRAME_PENDING) {
            continue;
        }
        out[count] = (uint8_t)outcome;
        if (outcome == FRAME_GOOD) {
            const uint32_t fields[6] = {frame.type, frame.version, frame.session, frame.seq, frame.ack, frame.t_ms};

            memcpy(header, fields, sizeof fields);
            memcpy(payload, frame.payload, frame.payload_size);
            *payload_size = frame.payload_size;
            if (!message_read(frame.type, frame.payload, frame.payload_size, &message)) {
                out[count] = PROBE_MESSAGE;
            }
        }
        count++;
    }
    return count;
}

/* Encode a message from its fields; the payload goes through message_write, so only messages can be sent. */
size_t probe_encode(const uint32_t header[6], const uint32_t fields[MESSAGE_FIELDS], const uint8_t hash[P_HASH_SIZE],
                    uint8_t out[P_MAX_FRAME])
{
    struct message message = {.type = (uint8_t)header[0]};
    uint8_t payload[P_MAX_PAYLOAD];
    struct frame frame = {
        .type = (uint8_t)header[0],
        .version = (uint8_t)header[1],
        .session = header[2],
        .seq = (uint16_t)header[3],
        .ack = (uint16_t)header[4],
        .t_ms = header[5],
        .payload = payload,
    };

    memcpy(message.field, fields, sizeof message.field);
    memcpy(message.hash, hash, sizeof message.hash);
    frame.payload_size = message_write(&message, payload);
    return frame_encode(&frame, out);
}

bool probe_is_payload(const uint8_t *data, size_t size)
{
    return cbor_is_payload(data, size);
}
