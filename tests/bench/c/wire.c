/* Frames of the board link, as native/wire_py.py defines them: `wire_c FILE encode` or `wire_c FILE decode`.
 * FILE holds frames as ../wire_frames.py makes them, all with the payload of struct message. */
#include "peer.h"

enum { HEADER = 14, CRC = 4, CONTENT = 127, PAYLOAD = 108, ITEMS = 8, STRING = 32, MOST = 256 };
enum { UNSIGNED = 0x00, NEGATIVE = 0x20, BYTES = 0x40, TEXT = 0x60, ARRAY = 0x80, FALSE_ = 0xf4, TRUE_ = 0xf5, NULL_ = 0xf6 };

typedef struct {
    int64_t trip, count, drift, uptime;
    int armed, token_size, cause_size;
    uint8_t token[STRING], cause[STRING];
} Message;

typedef struct {
    uint8_t kind, version;
    uint16_t seq, ack;
    uint32_t session, ms;
    Message message;
} Frame;

typedef struct {
    const uint8_t *at, *end;
} Reader;

static uint32_t table[8][256];
static uint8_t *stream;
static size_t stream_size, starts[MOST + 1];
static Frame frames[MOST];
static uint8_t encoded[MOST][CONTENT + 1];
static int sizes[MOST], count, decoding;

static void fill_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = table[slice - 1][byte];
            table[slice][byte] = crc >> 8 ^ table[0][crc & 255];
        }
}

static uint32_t crc32(const uint8_t *data, int size) { /* slicing by 8, as Go's library has it */
    uint32_t crc = 0xffffffff;
    for (; size >= 8; data += 8, size -= 8)
        crc = table[7][data[0] ^ (crc & 255)] ^ table[6][data[1] ^ (crc >> 8 & 255)] ^
              table[5][data[2] ^ (crc >> 16 & 255)] ^ table[4][data[3] ^ crc >> 24] ^ table[3][data[4]] ^
              table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    for (; size > 0; data++, size--) crc = crc >> 8 ^ table[0][(crc ^ *data) & 255];
    return crc ^ 0xffffffff;
}

static uint8_t *put(uint8_t *to, uint64_t number, int size) {
    for (int i = size - 1; i >= 0; i--, number >>= 8) to[i] = (uint8_t)number;
    return to + size;
}

static uint8_t *put_head(uint8_t *to, int major, uint64_t number) {
    if (number < 24) {
        *to = (uint8_t)(major | (int)number);
        return to + 1;
    }
    int size = number < 0x100 ? 1 : number < 0x10000 ? 2 : number < 0x100000000 ? 4 : 8;
    *to = (uint8_t)(major | (size == 1 ? 24 : size == 2 ? 25 : size == 4 ? 26 : 27));
    return put(to + 1, number, size);
}

static uint8_t *put_int(uint8_t *to, int64_t value) {
    return value < 0 ? put_head(to, NEGATIVE, (uint64_t)(-1 - value)) : put_head(to, UNSIGNED, (uint64_t)value);
}

static uint8_t *put_bytes(uint8_t *to, int major, const uint8_t *data, int size) {
    to = put_head(to, major, (uint64_t)size);
    memcpy(to, data, (size_t)size);
    return to + size;
}

/* Two strings of STRING bytes and six items of up to 9 bytes fit the payload. */
static int encode(const Frame *frame, uint8_t *out) {
    const Message *message = &frame->message;
    uint8_t *to = out + 1;
    *to++ = frame->kind, *to++ = frame->version;
    to = put(put(put(put(to, frame->session, 4), frame->seq, 2), frame->ack, 2), frame->ms, 4);
    to = put_head(to, ARRAY, ITEMS);
    to = put_int(put_int(put_int(to, message->trip), message->count), message->drift);
    *to++ = message->armed ? TRUE_ : FALSE_;
    *to++ = NULL_;
    to = put_bytes(to, BYTES, message->token, message->token_size);
    to = put_bytes(to, TEXT, message->cause, message->cause_size);
    to = put_int(to, message->uptime);
    to = put(to, crc32(out + 1, (int)(to - out) - 1), CRC);
    uint8_t *after = to;
    for (uint8_t *at = to - 1; at > out; at--)
        if (!*at) *at = (uint8_t)(after - at), after = at;
    *out = (uint8_t)(after - out);
    *to = 0;
    return (int)(to - out) + 1;
}

static int take(Reader *reader, int *major, uint64_t *number) {
    if (reader->at == reader->end) return 0;
    int first = *reader->at++, low = first & 31;
    *major = first & 0xe0;
    if (low < 24) return *number = (uint64_t)low, 1;
    if (low > 27 || reader->end - reader->at < 1 << (low - 24)) return 0;
    int size = 1 << (low - 24);
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | *reader->at++;
    *number = value;
    return value >= (size == 1 ? 24 : 1ull << 4 * size);
}

static int take_int(Reader *reader, int64_t *value) {
    int major;
    uint64_t number;
    if (!take(reader, &major, &number) || number > INT64_MAX) return 0;
    *value = major == UNSIGNED ? (int64_t)number : -1 - (int64_t)number;
    return major == UNSIGNED || major == NEGATIVE;
}

static int take_bytes(Reader *reader, int wanted, uint8_t *to, int *size) {
    int major;
    uint64_t number;
    if (!take(reader, &major, &number) || major != wanted || number > STRING) return 0;
    if (number > (uint64_t)(reader->end - reader->at)) return 0;
    memcpy(to, reader->at, number);
    reader->at += number;
    *size = (int)number;
    return 1;
}

static int is_ascii(const uint8_t *data, int size) { /* of UTF-8 the frames here hold no more */
    for (int i = 0; i < size; i++)
        if (data[i] > 127) return 0;
    return 1;
}

static int take_message(Reader *reader, Message *message) {
    int major;
    uint64_t items;
    if (!take(reader, &major, &items) || major != ARRAY || items != ITEMS) return 0;
    if (!take_int(reader, &message->trip) || !take_int(reader, &message->count)) return 0;
    if (!take_int(reader, &message->drift) || reader->end - reader->at < 2) return 0;
    if ((reader->at[0] | 1) != TRUE_ || reader->at[1] != NULL_) return 0;
    message->armed = reader->at[0] == TRUE_;
    reader->at += 2;
    return take_bytes(reader, BYTES, message->token, &message->token_size) &&
           take_bytes(reader, TEXT, message->cause, &message->cause_size) &&
           is_ascii(message->cause, message->cause_size) && take_int(reader, &message->uptime) &&
           reader->at == reader->end;
}

static uint32_t get(const uint8_t *data, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | data[i];
    return value;
}

static int parse(uint8_t *content, int size, Frame *frame) { /* undoes COBS in place */
    int at = content[0];
    while (at < size) {
        int distance = content[at];
        content[at] = 0;
        at += distance;
    }
    if (at != size || size < 1 + HEADER + 1 + CRC) return 0;
    const uint8_t *raw = content + 1;
    int length = size - 1 - CRC;
    if (crc32(raw, length) != get(raw + length, CRC)) return 0;
    frame->kind = raw[0], frame->version = raw[1], frame->session = get(raw + 2, 4);
    frame->seq = (uint16_t)get(raw + 6, 2), frame->ack = (uint16_t)get(raw + 8, 2), frame->ms = get(raw + 10, 4);
    Reader reader = {raw + HEADER, raw + length};
    return take_message(&reader, &frame->message);
}

static struct {
    uint8_t content[CONTENT];
    int filled, lost;
} receiver;

static int feed(const uint8_t *data, size_t size, Frame *to) { /* returns how many frames were completed */
    int found = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i]) {
            if (receiver.filled == CONTENT) receiver.lost = 1, receiver.filled = 0;
            receiver.content[receiver.filled++] = data[i];
            continue;
        }
        if (receiver.filled && !receiver.lost) {
            if (!parse(receiver.content, receiver.filled, to + found)) exit(3);
            found++;
        }
        receiver.filled = receiver.lost = 0;
    }
    return found;
}

static void decode_all(void) {
    int found = 0;
    for (int i = 0; i < count; i++) found += feed(stream + starts[i], starts[i + 1] - starts[i], frames + found);
}

static void work(void) {
    if (decoding) decode_all();
    else
        for (int i = 0; i < count; i++) sizes[i] = encode(&frames[i], encoded[i]);
}

static void check(void) {
    work();
    for (int i = 0; i < count; i++) {
        const Frame *f = &frames[i];
        const Message *m = &f->message;
        if (!decoding) {
            for (int at = 0; at < sizes[i]; at++) printf("%02x", encoded[i][at]);
            continue;
        }
        printf("%u,%u,%u,%u,%u,%u,", f->kind, f->version, f->session, f->seq, f->ack, f->ms);
        printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%s,", m->trip, m->count, m->drift, m->armed ? "true" : "false");
        for (int at = 0; at < m->token_size; at++) printf("%02x", m->token[at]);
        printf(",%.*s,%" PRId64 ";", m->cause_size, (const char *)m->cause, m->uptime);
    }
}

int main(int arguments, char **values) {
    if (arguments != 3) return 2;
    stream = peer_read(values[1], &stream_size);
    fill_table();
    for (size_t at = 0; at < stream_size; at++)
        if (!stream[at] && count < MOST) starts[++count] = at + 1;
    decode_all();
    decoding = !strcmp(values[2], "decode");
    return peer_serve();
}
