/* Peer of the job trade_update: each trade into bars of three timeframes and four indicators, one after the other. */
#include "market.h"
#include <math.h>

#define FRAMES 3
#define BAND 20

static const int64_t MINUTES[FRAMES] = {1, 5, 15};

typedef struct {
    int64_t length, start, end, open, high, low, close, volume;
} Frame;

typedef struct {
    int seen;
    double share, sum, value;
} Ema;

typedef struct {
    int seen;
    double last, gain, loss, value;
} Rsi;

typedef struct {
    int seen;
    double last, mean, value;
} Atr;

typedef struct {
    int seen, at;
    double ring[BAND], anchor, sum, squares, fresh_anchor, fresh_sum, fresh_squares, value, upper, lower;
} Band;

static const int64_t *times, *prices, *sizes;
static size_t rows;
static Days days;
static Frame frames[FRAMES], closed[FRAMES];
static int64_t masks;
static Ema ema;
static Rsi rsi;
static Atr atr;
static Band band;

static void ema_update(Ema *e, double close, int period) {
    if (e->seen == period) {
        e->value += (close - e->value) * e->share;
        return;
    }
    e->sum += close;
    if (++e->seen == period) e->value = e->sum / period;
}

static void rsi_update(Rsi *r, double close, int period) {
    double change = close - r->last, gain = change > 0 ? change : 0, loss = change < 0 ? -change : 0;
    r->last = close;
    if (r->seen > period) {
        r->gain = (r->gain * (period - 1) + gain) / period;
        r->loss = (r->loss * (period - 1) + loss) / period;
    } else {
        if (r->seen > 0) {
            r->gain += gain;
            r->loss += loss;
        }
        if (++r->seen <= period) return;
        r->gain /= period;
        r->loss /= period;
    }
    double total = r->gain + r->loss;
    r->value = total > 1e-14 ? 100 * (r->gain / total) : 50;
}

static void atr_update(Atr *a, double high, double low, double close, int period) {
    double range = (high > a->last ? high : a->last) - (low < a->last ? low : a->last);
    a->last = close;
    if (a->seen > period) {
        a->value = a->mean = (a->mean * (period - 1) + range) / period;
        return;
    }
    if (a->seen > 0) a->mean += range;
    if (++a->seen > period) a->value = a->mean /= period;
}

static void band_update(Band *b, double close) {
    if (b->seen == BAND) {
        double oldest = b->ring[b->at] - b->anchor;
        b->sum -= oldest;
        b->squares -= oldest * oldest;
    } else if (b->seen++ == 0) {
        b->anchor = b->fresh_anchor = close;
    }
    double distance = close - b->anchor, fresh = close - b->fresh_anchor;
    b->sum += distance;
    b->squares += distance * distance;
    b->fresh_sum += fresh;
    b->fresh_squares += fresh * fresh;
    b->ring[b->at] = close;
    if (++b->at == BAND) {
        b->at = 0;
        b->anchor = b->fresh_anchor;
        b->sum = b->fresh_sum;
        b->squares = b->fresh_squares;
        b->fresh_anchor = close;
        b->fresh_sum = b->fresh_squares = 0;
    }
    if (b->seen < BAND) return;
    double n = BAND, variance = (b->squares * n - b->sum * b->sum) / (n * n);
    double deviation = variance > 0 ? sqrt(variance) : 0;
    b->value = b->anchor + b->sum / n;
    b->upper = b->value + 2 * deviation;
    b->lower = b->value - 2 * deviation;
}

static int on_trade(int64_t price, int64_t size, int64_t utc_ns) {
    int mask = 0, late = 0;
    if (size < 0) exit(3);
    if (utc_ns >= days.end_ns) market_find_day(&days, utc_ns);
    for (int i = 0; i < FRAMES; i++) {
        Frame *f = &frames[i];
        if (utc_ns >= f->end) {
            if (f->start != f->end) {
                closed[i] = *f;
                mask |= 1 << i;
            }
            f->start = utc_ns - (utc_ns - days.start_ns) % f->length;
            f->end = days.end_ns - f->start > f->length ? f->start + f->length : days.end_ns;
            f->open = f->high = f->low = price;
            f->volume = 0;
        } else if (utc_ns < f->start) {
            late = 1;
            continue;
        }
        if (price > f->high) f->high = price;
        if (price < f->low) f->low = price;
        f->close = price;
        f->volume += size;
    }
    if (!late) {
        double close = (double)price;
        ema_update(&ema, close, 20);
        rsi_update(&rsi, close, 14);
        atr_update(&atr, close, close, close, 14);
        band_update(&band, close);
    }
    return mask;
}

static void work(void) {
    memset(frames, 0, sizeof frames);
    for (int i = 0; i < FRAMES; i++) frames[i].length = MINUTES[i] * MINUTE_NS;
    days.start_ns = days.end_ns = masks = 0;
    ema = (Ema){.share = 2.0 / 21};
    rsi = (Rsi){0};
    atr = (Atr){0};
    band = (Band){0};
    for (size_t i = 0; i < rows; i++) masks += on_trade(prices[i], sizes[i], times[i]);
}

static void check(void) {
    work();
    printf("%" PRId64, masks);
    for (int i = 0; i < FRAMES; i++)
        printf(" %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, closed[i].start, closed[i].open,
               closed[i].high, closed[i].low, closed[i].close, closed[i].volume);
    double numbers[] = {ema.value, rsi.value, atr.value, band.value, band.upper, band.lower};
    for (int i = 0; i < 6; i++) printf(" %" PRId64, peer_bits(numbers[i]));
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    times = market_read(arguments[1], &rows, &days);
    prices = times + rows;
    sizes = prices + rows;
    return peer_serve();
}
