/* A year of one-minute bars from a CSV file: two averages cross, a market order at the next open with a stop and a
 * target, flat before the session ends, fees and the ledger's totals. Arguments: file, fast, slow, stop and target
 * in ticks. There is no gate, no journal, no order life and no report, so this is what the bars and fills alone cost. */
#include "peer.h"

#include <stdbool.h>

enum { TICK_CENTS = 25, MINUTE = 60, LAST_ENTRY = 22 * 60 + 5, FLATTEN = 22 * 60 + 7, SLIPPAGE = 1, MOST = 1 << 14 };
static const int64_t TICK_MICRO = 12500000, FEE_MICRO = 1890000; /* of one contract: a tick, a side */

struct bar {
    int64_t start, open, high, low, close;
};
struct fill {
    int64_t start, side, price;
};
enum order { NOTHING, ENTER, EXIT };

static const char *path;
static int64_t fast, slow, stop_away, target_away, *closes;
static struct fill fills[MOST];
static int64_t filled, gross_micro, fees_micro;

static int64_t digits(const char **at, int count) {
    int64_t value = 0;
    while (count--) value = value * 10 + (*(*at)++ - '0');
    return value;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2014-01-01T23:00:00Z," in seconds. */
static int64_t stamp(const char **at) {
    int64_t year = digits(at, 4);
    ++*at;
    int64_t month = digits(at, 2);
    ++*at;
    int64_t day = digits(at, 2);
    ++*at;
    int64_t hour = digits(at, 2);
    ++*at;
    int64_t minute = digits(at, 2);
    *at += 5; /* the seconds are none */
    return (days(year, month, day) * 24 + hour) * 3600 + minute * MINUTE;
}

/* "1684.25," in ticks. */
static int64_t price(const char **at) {
    int64_t cents = 0;
    for (; **at != ','; ++*at)
        if (**at != '.') cents = cents * 10 + (**at - '0');
    ++*at;
    return cents / TICK_CENTS;
}

static struct bar next(const char **at) {
    struct bar bar;
    bar.start = stamp(at);
    bar.open = price(at);
    bar.high = price(at);
    bar.low = price(at);
    bar.close = price(at);
    while (*(*at)++ != '\n') continue; /* the volume */
    return bar;
}

struct book {
    int64_t net, entered_at, stop, target;
    bool fresh; /* entered in this bar: the target cannot fill yet, the stop at its own price only */
    enum order waiting;
    int64_t side;
};

static void book_fill(struct book *book, const struct bar *bar, int64_t side, int64_t at) {
    fills[filled++] = (struct fill){bar->start, side, at};
    fees_micro += FEE_MICRO;
    if (book->net) gross_micro += (at - book->entered_at) * book->net * TICK_MICRO;
    book->entered_at = at;
    book->net += side;
}

static void open_bar(struct book *book, const struct bar *bar) {
    if (book->waiting == EXIT && book->net) {
        book_fill(book, bar, -book->net, bar->open - book->net * SLIPPAGE);
    } else if (book->waiting == ENTER) {
        int64_t at = bar->open + book->side * SLIPPAGE;
        book_fill(book, bar, book->side, at);
        book->stop = at - book->side * stop_away;
        book->target = at + book->side * target_away;
        book->fresh = true;
    }
    book->waiting = NOTHING;
}

static void fill_within(struct book *book, const struct bar *bar) {
    bool is_long = book->net > 0;
    if (is_long ? bar->low <= book->stop : bar->high >= book->stop) {
        bool beyond = is_long ? bar->open < book->stop : bar->open > book->stop;
        book_fill(book, bar, -book->net, beyond && !book->fresh ? bar->open : book->stop);
    } else if (!book->fresh && (is_long ? bar->high > book->target : bar->low < book->target)) {
        book_fill(book, bar, -book->net, book->target);
    }
}

static void decide(struct book *book, int64_t crossed, int64_t minute) {
    if (book->net * crossed < 0) {
        book->waiting = EXIT;
    } else if (!book->net && minute < LAST_ENTRY) {
        book->waiting = ENTER;
        book->side = crossed;
    }
}

static void run(const char *at, const char *end) {
    struct book book = {0};
    int64_t opened = 0, before = 0, sum_fast = 0, sum_slow = 0, count = 0, above = 0;
    filled = gross_micro = fees_micro = 0;
    while (at < end) {
        struct bar bar = next(&at);
        if (bar.start - before > MINUTE) opened = bar.start;
        before = bar.start;
        int64_t minute = (bar.start - opened) / MINUTE + 1;
        open_bar(&book, &bar);
        if (book.net) fill_within(&book, &bar);
        book.fresh = false;
        closes[count++] = bar.close;
        sum_fast += bar.close - (count > fast ? closes[count - 1 - fast] : 0);
        sum_slow += bar.close - (count > slow ? closes[count - 1 - slow] : 0);
        int64_t apart = sum_fast * slow - sum_slow * fast, was = above;
        if (count >= slow && apart) above = apart > 0 ? 1 : -1;
        if (was && above != was) decide(&book, above, minute);
        if (minute == FLATTEN && book.net) book.waiting = EXIT;
    }
}

static void work(void) {
    size_t size;
    char *text = peer_read(path, &size);
    closes = realloc(closes, size / 32 * sizeof *closes); /* no line is as short */
    run(strchr(text, '\n') + 1, text + size);
    free(text);
}

static void check(void) {
    work();
    for (int64_t i = 0; i < filled; i++)
        printf("%" PRId64 ",%" PRId64 ",%" PRId64 ";", fills[i].start, fills[i].side, fills[i].price);
    printf("%" PRId64 ",%" PRId64 ",%" PRId64, gross_micro, fees_micro, gross_micro - fees_micro);
}

int main(int arguments, char **argument) {
    if (arguments != 6) return 2;
    path = argument[1];
    fast = atol(argument[2]);
    slow = atol(argument[3]);
    stop_away = atol(argument[4]);
    target_away = atol(argument[5]);
    return peer_serve();
}
