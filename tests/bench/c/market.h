/* What the peers of bars and trades share: the input file (see market_data.py), days, windows, bars. */
#ifndef MARKET_H
#define MARKET_H

#include "peer.h"

#define MINUTE_NS 60000000000LL

typedef struct {
    int64_t *start_ns, *open, *high, *low, *close, *volume;
    size_t count;
} Bars;

typedef struct {
    const int64_t *starts; /* where trading days begin; the last one only ends the day before it */
    size_t count;
    int64_t start_ns, end_ns; /* the day last looked for */
    int64_t begin, end;       /* the window in it */
} Days;

/* Reads the file: rows, the table of days, then columns. Returns the first column. */
static const int64_t *market_read(const char *path, size_t *rows, Days *days) {
    size_t size;
    const int64_t *file = peer_read(path, &size);
    *rows = (size_t)file[0];
    *days = (Days){.starts = file + 2, .count = (size_t)file[1]};
    return file + 2 + days->count;
}

static inline Bars market_room(size_t rows) {
    Bars bars = {.count = 0};
    int64_t **columns[] = {&bars.start_ns, &bars.open, &bars.high, &bars.low, &bars.close, &bars.volume};
    for (size_t i = 0; i < 6; i++)
        if (!(*columns[i] = calloc(rows, sizeof(int64_t)))) exit(2);
    return bars;
}

static void market_find_day(Days *days, int64_t utc_ns) {
    size_t day = 1;
    while (day < days->count && days->starts[day] <= utc_ns) day++;
    if (day == days->count || utc_ns < days->starts[day - 1]) exit(3);
    days->start_ns = days->starts[day - 1];
    days->end_ns = days->starts[day];
}

/* The window of utc_ns; mostly it follows the one before, which saves a division. Returns its end. */
static inline int64_t market_window(Days *days, int64_t utc_ns, int64_t length) {
    if (utc_ns < days->start_ns || utc_ns >= days->end_ns) {
        market_find_day(days, utc_ns);
        days->begin = utc_ns - (utc_ns - days->start_ns) % length;
    } else if (utc_ns >= days->end && utc_ns - days->end < length) {
        days->begin = days->end;
    } else {
        days->begin = utc_ns - (utc_ns - days->start_ns) % length;
    }
    days->end = days->begin + length < days->end_ns ? days->begin + length : days->end_ns;
    return days->end;
}

static inline void market_print(const Bars *bars) {
    const char *gap = "";
    for (size_t i = 0; i < bars->count; i++, gap = " ")
        printf("%s%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, gap, bars->start_ns[i],
               bars->open[i], bars->high[i], bars->low[i], bars->close[i], bars->volume[i]);
}

#endif
