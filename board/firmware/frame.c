/* Implements frame.h in place, in one buffer each way. */
#include "frame.h"

#include <string.h>

#include "cbor.h"

enum {
    MAX_CONTENT = P_MAX_FRAME - 1,                   /* bytes before the zero */
    PAYLOAD_AT = 1 + P_HEADER_SIZE,                  /* behind the COBS byte and the header */
    SHORTEST = 1 + P_HEADER_SIZE + 1 + P_CRC_SIZE,   /* a payload has at least one byte */
};

/* CRC-32 of the sixteen half-bytes (reflected 0x04C11DB7): 64 bytes of flash instead of 1,024. */
static const uint32_t CRC_OF_NIBBLE[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};

uint32_t frame_crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t at = 0; at < size; at++) {
        crc ^= data[at];
        crc = crc >> 4 ^ CRC_OF_NIBBLE[crc & 15];
        crc = crc >> 4 ^ CRC_OF_NIBBLE[crc & 15];
    }
    return crc ^ 0xFFFFFFFFu;
}

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

/* Turn the bytes from 1 to before end into COBS: each zero becomes the distance to the next. */
static void stuff(uint8_t *data, size_t end)
{
    size_t after = end;

    data[end] = 0;
    for (size_t at = end - 1; at > 0; at--) {
        if (data[at] == 0) {
            data[at] = (uint8_t)(after - at);
            after = at;
        }
    }
    data[0] = (uint8_t)after;
}

/* Undo stuff; false when the distances do not lead to end. None is zero, for a zero ends the frame. */
static bool unstuff(uint8_t *data, size_t end)
{
    size_t at = data[0];

    while (at < end) {
        uint8_t distance = data[at];

        data[at] = 0;
        at += distance;
    }
    return at == end;
}

static enum frame_outcome finish(uint8_t *data, size_t size, struct frame *frame)
{
    size_t end = size - P_CRC_SIZE;

    if (!unstuff(data, size)) {
        return FRAME_COBS;
    }
    if (size < SHORTEST) {
        return FRAME_SHORT;
    }
    if (frame_crc32(data + 1, end - 1) != get_u32(data + end)) {
        return FRAME_CRC;
    }
    if (!cbor_is_payload(data + PAYLOAD_AT, end - PAYLOAD_AT)) {
        return FRAME_PAYLOAD;
    }
    frame->type = data[1];
    frame->version = data[2];
    frame->session = get_u32(data + 3);
    frame->seq = get_u16(data + 7);
    frame->ack = get_u16(data + 9);
    frame->t_ms = get_u32(data + 11);
    frame->payload = data + PAYLOAD_AT;
    frame->payload_size = end - PAYLOAD_AT;
    return FRAME_GOOD;
}

static enum frame_outcome end_of_frame(struct frame_decoder *decoder, struct frame *frame)
{
    size_t size = decoder->filled;
    bool whole = size > 0 && !decoder->lost;

    decoder->filled = 0;
    decoder->lost = false;
    return whole ? finish(decoder->data, size, frame) : FRAME_PENDING;
}

enum frame_outcome frame_decode(struct frame_decoder *decoder, uint8_t byte, struct frame *frame)
{
    enum frame_outcome outcome = FRAME_PENDING;

    if (byte == 0) {
        return end_of_frame(decoder, frame);
    }
    if (decoder->filled == MAX_CONTENT) {
        decoder->lost = true;
        decoder->filled = 0;
        outcome = FRAME_OVERSIZE;
    }
    decoder->data[decoder->filled++] = byte;
    return outcome;
}

size_t frame_encode(const struct frame *frame, uint8_t out[P_MAX_FRAME])
{
    size_t end = PAYLOAD_AT + frame->payload_size;

    if (frame->payload_size > P_MAX_PAYLOAD) {
        return 0;
    }
    out[1] = frame->type;
    out[2] = frame->version;
    put_u32(out + 3, frame->session);
    put_u16(out + 7, frame->seq);
    put_u16(out + 9, frame->ack);
    put_u32(out + 11, frame->t_ms);
    memcpy(out + PAYLOAD_AT, frame->payload, frame->payload_size);
    put_u32(out + end, frame_crc32(out + 1, end - 1));
    stuff(out, end + P_CRC_SIZE);
    return end + P_CRC_SIZE + 1;
}
