/* Implements line.h. */
#include "line.h"

#include <string.h>

#include "../firmware/frame.h"
#include "clock.h"

enum { NOISE_STEP = 1024 }; /* random bytes a millisecond: what a pty takes at once, most of the time */

void line_init(struct line *line, struct port *port, uint64_t seed)
{
    memset(line, 0, sizeof *line);
    line->port = port;
    line->seed = seed;
    line->version = P_VERSION;
}

static bool spend(uint32_t *left)
{
    if (*left == 0) {
        return false;
    }
    (*left)--;
    return true;
}

static bool is_stuck(const struct line *line, uint64_t now_us)
{
    return now_us < line->stuck_until_us;
}

size_t line_read(struct line *line, uint8_t *data, size_t room)
{
    size_t count = port_read(line->port, data, room);

    if (line->loop) {
        port_write(line->port, data, count);
        return 0;
    }
    return count;
}

static void keep(struct line *line, const struct sent_frame *frame)
{
    line->sent[line->next] = *frame;
    line->next = (line->next + 1) % LINE_REPLAY_FRAMES;
}

/* Write another version into a frame, with the CRC that belongs to it. */
static void pretend(uint8_t version, struct sent_frame *frame)
{
    struct frame_decoder decoder = {0};
    struct frame fields;
    enum frame_outcome outcome = FRAME_PENDING;

    for (size_t at = 0; at < frame->size; at++) {
        outcome = frame_decode(&decoder, frame->data[at], &fields);
    }
    if (outcome == FRAME_GOOD) {
        uint8_t out[P_MAX_FRAME];

        fields.version = version;
        frame->size = (uint8_t)frame_encode(&fields, out);
        memcpy(frame->data, out, frame->size);
    }
}

static void damage(struct line *line, struct sent_frame *frame)
{
    if (line->version != P_VERSION) {
        pretend(line->version, frame);
    }
    if (spend(&line->corrupt)) {
        uint32_t bit = random_next(&line->seed) % (frame->size * 8u);

        frame->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (spend(&line->truncate)) { /* its zero is lost too, so the next frame suffers with it */
        frame->size = (uint8_t)(1 + random_next(&line->seed) % (frame->size - 1u));
    }
}

static void put(struct line *line, const struct sent_frame *frame)
{
    port_write(line->port, frame->data, frame->size);
    keep(line, frame);
    if (line->held.size > 0) {
        struct sent_frame overtaken = line->held;

        line->held.size = 0;
        put(line, &overtaken);
    }
}

void line_send(struct line *line, const uint8_t *data, size_t size, uint64_t now_us)
{
    struct sent_frame frame = {.at_us = now_us, .size = (uint8_t)size};

    if (line->loop || is_stuck(line, now_us) || spend(&line->drop)) {
        return;
    }
    memcpy(frame.data, data, size);
    damage(line, &frame);
    if (line->held.size == 0 && spend(&line->swap)) {
        line->held = frame;
        return;
    }
    put(line, &frame);
    if (spend(&line->duplicate)) {
        put(line, &frame);
    }
}

size_t line_replay(struct line *line, uint64_t now_us)
{
    size_t count = 0;

    for (size_t index = 0; index < LINE_REPLAY_FRAMES; index++) {
        const struct sent_frame *frame = &line->sent[(line->next + index) % LINE_REPLAY_FRAMES];

        if (frame->size > 0 && now_us - frame->at_us <= LINE_REPLAY_MS * 1000u) {
            port_write(line->port, frame->data, frame->size);
            count++;
        }
    }
    return count;
}

static void send_noise(struct line *line)
{
    uint8_t bytes[NOISE_STEP];
    size_t count = line->noise < NOISE_STEP ? (size_t)line->noise : NOISE_STEP;

    for (size_t at = 0; at < NOISE_STEP; at++) {
        bytes[at] = (uint8_t)random_next(&line->seed);
    }
    line->noise -= (uint32_t)port_write(line->port, bytes, count);
}

void line_tick(struct line *line, uint64_t now_us)
{
    if (line->noise > 0) {
        send_noise(line);
    }
    if (is_stuck(line, now_us)) {
        uint8_t bytes[LINE_BYTES_PER_MS];

        memset(bytes, line->stuck_byte, sizeof bytes);
        port_write(line->port, bytes, sizeof bytes);
    }
}
