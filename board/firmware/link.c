/* Implements link.h. */
#include "link.h"

#include "age.h"

void link_init(struct link *link)
{
    *link = (struct link){0};
    noise_init(&link->noise);
}

void link_advance(struct link *link, uint32_t elapsed_ms)
{
    noise_advance(&link->noise, elapsed_ms);
    link->session_ms = age_grown(link->session_ms, elapsed_ms);
}

static bool is_new(uint16_t seq, uint16_t last)
{
    uint16_t ahead = (uint16_t)(seq - last);

    return ahead > 0 && ahead < P_SEQ_WINDOW;
}

static bool is_late(const struct link *link, uint32_t session)
{
    return session == link->former && session != 0 && link->session_ms <= P_LATE_MS;
}

static void open_session(struct link *link, const struct frame *frame)
{
    link->former = link->session;
    link->session = frame->session;
    link->session_ms = 0;
    link->received = frame->seq;
    link->sent = 0;
}

/* Of another session than the current one: a HELLO opens it, the former one's traffic may still be under way. */
static enum link_verdict judge_foreign(struct link *link, const struct frame *frame)
{
    if (is_late(link, frame->session)) {
        return LINK_LATE;
    }
    if (frame->type != P_TYPE_HELLO || frame->session == 0) {
        return LINK_WRONG_SESSION;
    }
    if (!is_new(frame->seq, 0)) {
        return LINK_DUPLICATE;
    }
    open_session(link, frame);
    return LINK_NEW_SESSION;
}

static enum link_verdict judge(struct link *link, const struct frame *frame, struct message *message)
{
    if ((frame->type & P_FROM_BOARD) != 0) {
        return LINK_LOOPED;
    }
    if (frame->version != P_VERSION) {
        return LINK_WRONG_VERSION;
    }
    if (!message_read(frame->type, frame->payload, frame->payload_size, message)) {
        return LINK_BAD;
    }
    if (frame->session != link->session || link->session == 0) {
        return judge_foreign(link, frame);
    }
    if (!is_new(frame->seq, link->received)) {
        return LINK_DUPLICATE;
    }
    link->received = frame->seq;
    return LINK_MESSAGE;
}

static void count(struct link *link, enum link_verdict verdict)
{
    struct link_counters *counters = &link->counters;

    switch (verdict) {
    case LINK_NOTHING:
        return;
    case LINK_MESSAGE:
    case LINK_NEW_SESSION:
        counters->good++;
        return;
    case LINK_BAD:
        counters->bad++;
        noise_add(&link->noise);
        return;
    case LINK_DUPLICATE:
        counters->duplicate++;
        return;
    case LINK_LOOPED:
        counters->looped++;
        return;
    case LINK_LATE:
    case LINK_WRONG_SESSION:
        counters->wrong_session++;
        return;
    case LINK_WRONG_VERSION:
        counters->wrong_version++;
        return;
    }
}

enum link_verdict link_receive(struct link *link, uint8_t byte, struct message *message)
{
    struct frame frame;
    enum frame_outcome outcome = frame_decode(&link->decoder, byte, &frame);
    enum link_verdict verdict = LINK_BAD;

    if (outcome == FRAME_PENDING) {
        verdict = LINK_NOTHING;
    } else if (outcome == FRAME_GOOD) {
        verdict = judge(link, &frame, message);
    }
    count(link, verdict);
    return verdict;
}

size_t link_send(struct link *link, const struct message *message, uint32_t now_ms, uint8_t out[P_MAX_FRAME])
{
    uint8_t payload[P_MAX_PAYLOAD];
    struct frame frame = {
        .type = message->type,
        .version = P_VERSION,
        .session = link->session,
        .seq = ++link->sent,
        .ack = link->received,
        .t_ms = now_ms,
        .payload = payload,
        .payload_size = message_write(message, payload),
    };

    return frame_encode(&frame, out);
}
