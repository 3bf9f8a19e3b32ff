/* Peer of the job bars_coarsen: one-minute bars to five minutes. Refuses bars out of order and negative volumes. */
#include "market.h"

static Bars fine, coarse;
static Days days;

static void coarsen(const Bars *bars, int64_t length, Days *days, Bars *out) {
    int64_t last = -1;
    size_t i = 0;
    out->count = 0;
    days->start_ns = days->end_ns = days->end = 0;
    while (i < bars->count) {
        int64_t end = market_window(days, bars->start_ns[i], length);
        size_t first = i;
        int64_t high = bars->high[i], low = bars->low[i], volume = 0;
        for (; i < bars->count && bars->start_ns[i] < end; i++) {
            if (bars->start_ns[i] <= last || bars->volume[i] < 0) exit(3);
            last = bars->start_ns[i];
            if (bars->high[i] > high) high = bars->high[i];
            if (bars->low[i] < low) low = bars->low[i];
            volume += bars->volume[i];
        }
        size_t row = out->count++;
        out->start_ns[row] = days->begin;
        out->open[row] = bars->open[first];
        out->high[row] = high;
        out->low[row] = low;
        out->close[row] = bars->close[i - 1];
        out->volume[row] = volume;
    }
}

static void work(void) { coarsen(&fine, 5 * MINUTE_NS, &days, &coarse); }

static void check(void) {
    work();
    market_print(&coarse);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    size_t rows;
    int64_t *column = (int64_t *)market_read(arguments[1], &rows, &days);
    fine = (Bars){column, column + rows, column + 2 * rows, column + 3 * rows, column + 4 * rows, column + 5 * rows, rows};
    coarse = market_room(rows);
    return peer_serve();
}
