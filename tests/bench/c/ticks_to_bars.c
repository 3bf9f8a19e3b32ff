/* Peer of the job ticks_to_bars: trades to one-minute bars. Refuses trades out of order and negative sizes. */
#include "market.h"

static const int64_t *times, *prices, *sizes;
static size_t rows;
static Bars bars;
static Days days;

static void ticks_to_bars(int64_t length, Days *days, Bars *out) {
    int64_t last = times[0];
    size_t i = 0;
    out->count = 0;
    days->start_ns = days->end_ns = days->end = 0;
    while (i < rows) {
        int64_t end = market_window(days, times[i], length);
        size_t first = i;
        int64_t high = prices[i], low = prices[i], volume = 0;
        for (; i < rows && times[i] < end; i++) {
            if (times[i] < last || sizes[i] < 0) exit(3);
            last = times[i];
            if (prices[i] > high) high = prices[i];
            if (prices[i] < low) low = prices[i];
            volume += sizes[i];
        }
        size_t row = out->count++;
        out->start_ns[row] = days->begin;
        out->open[row] = prices[first];
        out->high[row] = high;
        out->low[row] = low;
        out->close[row] = prices[i - 1];
        out->volume[row] = volume;
    }
}

static void work(void) { ticks_to_bars(MINUTE_NS, &days, &bars); }

static void check(void) {
    work();
    market_print(&bars);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    times = market_read(arguments[1], &rows, &days);
    prices = times + rows;
    sizes = prices + rows;
    bars = market_room(rows);
    return peer_serve();
}
