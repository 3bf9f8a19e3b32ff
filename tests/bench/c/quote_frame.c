/* GatewayQuote frames to records by a hand-written scanner: the members in any order, prices as exact ticks, stamps as
 * nanoseconds, no allocation. Anything unusual fails the frame, as the scanner that is measured does. */
#include "peer.h"

enum { PRICES = 6, MAX_FRAMES = 4096 };
typedef struct {
    int64_t price[PRICES]; /* last, bid, ask, open, high, low in ticks */
    int64_t volume, updated_ns, stamp_ns;
    uint32_t seen;
} Record;

static const char HEAD[] = "{\"type\":1,\"target\":\"GatewayQuote\",\"arguments\":[\"CON.F.US.MNQ.Z26\",{";
static const int64_t TICK_NANO = 250000000;
enum kind { ANY, PRICE, VOLUME, STAMP };
static const struct { const char *name; size_t size; enum kind kind; int slot; } MEMBERS[] = {
#define MEMBER(name, kind, slot) {"\"" name "\":", sizeof("\"" name "\":") - 1, kind, slot}
    MEMBER("symbol", ANY, 0), MEMBER("symbolName", ANY, 0), MEMBER("lastPrice", PRICE, 0), MEMBER("bestBid", PRICE, 1),
    MEMBER("bestAsk", PRICE, 2), MEMBER("change", ANY, 0), MEMBER("changePercent", ANY, 0), MEMBER("open", PRICE, 3),
    MEMBER("high", PRICE, 4), MEMBER("low", PRICE, 5), MEMBER("volume", VOLUME, 0), MEMBER("lastUpdated", STAMP, 0),
    MEMBER("timestamp", STAMP, 1),
};
enum { COUNT = sizeof MEMBERS / sizeof *MEMBERS };

static const unsigned char *frames[MAX_FRAMES];
static size_t sizes[MAX_FRAMES];
static int count;
static volatile int64_t sink;

static const unsigned char *number(const unsigned char *p, int digits, int64_t *value) {
    int negative = *p == '-', places = 0;
    int64_t sum = 0;
    p += negative;
    const unsigned char *first = p;
    while (*p >= '0' && *p <= '9' && p < first + 18 - digits) sum = sum * 10 + (*p++ - '0');
    if (p == first || (*first == '0' && p > first + 1)) return NULL;
    if (*p == '.' && digits) {
        for (p++; *p >= '0' && *p <= '9' && places < digits; places++) sum = sum * 10 + (*p++ - '0');
        if (!places) return NULL;
    }
    for (; places < digits; places++) sum *= 10;
    *value = negative ? -sum : sum;
    return p;
}

static int two(const unsigned char *p) {
    return p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9' ? -1 : (p[0] - '0') * 10 + p[1] - '0';
}

static int64_t days_of(int year, int month, int day) { /* 2000 to 2099 */
    int before = (367 * month - 362) / 12 - (month > 2 ? (year % 4 ? 2 : 1) : 0);
    return 10957 + 365 * year + (year + 3) / 4 + before + day - 1;
}

static const unsigned char *stamp(const unsigned char *p, int64_t *ns) {
    if (p[0] != '"' || two(p + 1) != 20) return NULL;
    int year = two(p + 3), month = two(p + 6), day = two(p + 9), hour = two(p + 12), minute = two(p + 15);
    int second = two(p + 18);
    if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59) return NULL;
    int most = month == 2 ? (year % 4 ? 28 : 29) : 30 + ((month + month / 8) & 1);
    if (day > most || second < 0 || second > 59 || p[5] != '-' || p[8] != '-' || p[11] != 'T') return NULL;
    if (p[14] != ':' || p[17] != ':') return NULL;
    int64_t fraction = 0, scale = 1000000000;
    p += 20;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9' && scale > 1; scale /= 10) fraction = fraction * 10 + (*p++ - '0');
    *ns = (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000000000 + fraction * scale;
    return memcmp(p, "+00:00\"", 7) ? NULL : p + 7;
}

static const unsigned char *any(const unsigned char *p) {
    if (*p != '"') {
        int64_t ignored;
        return number(p, 9, &ignored);
    }
    for (p++; *p != '"'; p++)
        if (*p < ' ' || *p > '~' || *p == '\\') return NULL;
    return p + 1;
}

static const unsigned char *member(Record *record, int at, const unsigned char *p) {
    int slot = MEMBERS[at].slot;
    switch (MEMBERS[at].kind) {
    case PRICE: {
        int64_t nano;
        if (!(p = number(p, 9, &nano)) || nano % TICK_NANO) return NULL;
        record->price[slot] = nano / TICK_NANO;
        return p;
    }
    case VOLUME: return number(p, 0, &record->volume);
    case STAMP: return stamp(p, slot ? &record->stamp_ns : &record->updated_ns);
    default: return any(p);
    }
}

static int scan(const unsigned char *p, size_t size, Record *record) {
    const unsigned char *end = p + size;
    if (size < sizeof HEAD + 3 || memcmp(p, HEAD, sizeof HEAD - 1)) return 0;
    p += sizeof HEAD - 1;
    record->seen = 0;
    for (int next = 0;;) {
        int at = next, tried = 0;
        while (strncmp((const char *)p, MEMBERS[at].name, MEMBERS[at].size)) {
            if (++tried == COUNT) return 0;
            at = at + 1 == COUNT ? 0 : at + 1;
        }
        if (record->seen & 1u << at) return 0;
        record->seen |= 1u << at;
        if (!(p = member(record, at, p + MEMBERS[at].size))) return 0;
        next = at + 1 == COUNT ? 0 : at + 1;
        if (*p == '}') break;
        if (*p++ != ',') return 0;
    }
    return p + 4 == end && !memcmp(p, "}]}\x1e", 4);
}

static void work(void) {
    Record record = {0};
    for (int i = 0; i < count; i++) sink += scan(frames[i], sizes[i], &record) + record.price[1];
}

static void check(void) {
    for (int i = 0; i < count; i++) {
        Record r = {0};
        if (!scan(frames[i], sizes[i], &r)) exit(3);
        for (int each = 0; each < PRICES; each++) printf("%" PRId64 ",", r.price[each]);
        printf("%" PRId64 ",%" PRId64 ";", r.volume, r.updated_ns);
    }
}

int main(int arguments, char **argument) {
    size_t size;
    if (arguments != 2) return 2;
    unsigned char *data = peer_read(argument[1], &size), *end = data + size;
    for (unsigned char *p = data; p < end && count < MAX_FRAMES;) {
        unsigned char *stop = memchr(p, 0x1e, (size_t)(end - p));
        frames[count] = p;
        sizes[count++] = (size_t)(stop + 1 - p);
        p = stop + 1;
    }
    return peer_serve();
}
