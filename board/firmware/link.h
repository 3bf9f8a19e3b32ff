/*
 * The link's bookkeeping: which session, which sequence numbers, what is counted. What a message means is not here.
 */
#ifndef PLIMSOLL_LINK_H
#define PLIMSOLL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "messages.h"
#include "noise.h"

enum link_verdict {
    LINK_NOTHING,       /* no frame ended */
    LINK_MESSAGE,       /* a new message of the session */
    LINK_NEW_SESSION,   /* a HELLO that opened another session */
    LINK_BAD,           /* damaged, or no message */
    LINK_DUPLICATE,     /* seen before, or overtaken */
    LINK_LOOPED,        /* what a board sent */
    LINK_LATE,          /* of the session before, and just closed */
    LINK_WRONG_SESSION, /* of any other session */
    LINK_WRONG_VERSION,
};

/* Since boot; all wrap. */
struct link_counters {
    uint32_t good; /* accepted messages */
    uint32_t bad;
    uint32_t duplicate;
    uint32_t looped;
    uint32_t wrong_session; /* late ones too */
    uint32_t wrong_version;
    uint32_t overrun; /* bytes that the hardware lost */
};

struct link {
    struct frame_decoder decoder;
    struct noise noise;
    struct link_counters counters;
    uint32_t session;     /* 0: none yet */
    uint32_t former;      /* the session before; 0: none */
    uint16_t session_ms;  /* age of the session */
    uint16_t received;    /* sequence number last accepted in this session */
    uint16_t sent;        /* sequence number last sent in this session */
};

void link_init(struct link *link);
void link_advance(struct link *link, uint32_t elapsed_ms);

/* Take one byte; on LINK_MESSAGE and LINK_NEW_SESSION the message is in *message. */
enum link_verdict link_receive(struct link *link, uint8_t byte, struct message *message);

/* Put the session's next frame into out; returns its size. */
size_t link_send(struct link *link, const struct message *message, uint32_t now_ms, uint8_t out[P_MAX_FRAME]);

#endif
