/*
 * Frames of the link: COBS around a header, a payload and a CRC-32. Bytes and fields only; no session, no time.
 *
 *     COBS( type u8 | version u8 | session u32 | seq u16 | ack u16 | t_ms u32 | payload | crc u32 ) 0x00
 *
 * Integers are big-endian, a frame is at most P_MAX_FRAME bytes. The CRC-32 is zlib's, over all before it. A zero
 * always ends a frame, so a receiver that lost its way is right again after the next one; zeros between frames
 * mean nothing. Accepts and refuses exactly what native.wire does, with the same fault codes.
 */
#ifndef PLIMSOLL_FRAME_H
#define PLIMSOLL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol.h"

enum frame_outcome {
    FRAME_GOOD,     /* a frame, intact */
    FRAME_OVERSIZE, /* more bytes than a frame has, without a zero */
    FRAME_COBS,     /* the chain of zeros does not end where the frame does */
    FRAME_SHORT,    /* no room for header, payload and CRC */
    FRAME_CRC,
    FRAME_PAYLOAD, /* intact, yet not the CBOR that is allowed */
    FRAME_PENDING, /* nothing ended with this byte */
};

struct frame {
    uint8_t type;
    uint8_t version;
    uint32_t session;
    uint16_t seq;
    uint16_t ack;
    uint32_t t_ms;
    const uint8_t *payload; /* in the decoder's buffer: valid until its next byte */
    size_t payload_size;
};

/* A receiver: at most one frame's bytes are held. All zero is its start. */
struct frame_decoder {
    uint8_t data[P_MAX_FRAME];
    size_t filled;
    bool lost; /* inside an oversize frame, dropping bytes until its zero */
};

uint32_t frame_crc32(const uint8_t *data, size_t size);

/* Take one byte; on FRAME_GOOD the frame is in *frame. An oversize frame is a fault for every 127 bytes of it. */
enum frame_outcome frame_decode(struct frame_decoder *decoder, uint8_t byte, struct frame *frame);

/* Put a frame with its closing zero into out; returns its size, 0 if the payload is too long for one. */
size_t frame_encode(const struct frame *frame, uint8_t out[P_MAX_FRAME]);

#endif
