/* Place bodies from an order struct into one buffer by hand. */
#include "peer.h"

enum { ORDERS = 200 };
typedef struct {
    int64_t account, kind, side, size, price_ticks, stop_ticks, target_ticks;
    char contract[24], tag[64];
} Order; /* the layout of the input file */

static Order *orders;
static char out[1024];
static volatile size_t sink;

static char *put(char *at, const char *words) {
    size_t size = strlen(words);
    memcpy(at, words, size);
    return at + size;
}

static char *number(char *at, int64_t value) {
    char digits[20];
    int count = 0;
    if (value < 0) *at++ = '-', value = -value;
    do digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count) *at++ = digits[--count];
    return at;
}

static char *price(char *at, int64_t ticks) { /* a tick of 0.25, two places */
    int64_t units = ticks * 25;
    if (units < 0) *at++ = '-', units = -units;
    at = number(at, units / 100);
    *at++ = '.';
    *at++ = (char)('0' + units / 10 % 10);
    *at++ = (char)('0' + units % 10);
    return at;
}

static char *text(char *at, const char *words) {
    for (; *words; words++) {
        if ((unsigned char)*words < ' ' || *words > '~' || *words == '"' || *words == '\\') exit(3);
        *at++ = *words;
    }
    return at;
}

static char *write_body(const Order *order) {
    char *at = put(out, "{\"accountId\":");
    at = number(at, order->account);
    at = put(put(text(put(at, ",\"contractId\":\""), order->contract), "\""), ",\"type\":");
    at = number(at, order->kind);
    at = put(number(put(at, ",\"side\":"), order->side < 0), ",\"size\":");
    at = number(at, order->size);
    at = price(put(at, order->kind == 1 ? ",\"limitPrice\":" : ",\"stopPrice\":"), order->price_ticks);
    if (order->stop_ticks) {
        at = number(put(at, ",\"stopLossBracket\":{\"ticks\":"), -order->side * order->stop_ticks);
        at = put(at, ",\"type\":4}");
    }
    if (order->target_ticks) {
        at = number(put(at, ",\"takeProfitBracket\":{\"ticks\":"), order->side * order->target_ticks);
        at = put(at, ",\"type\":1}");
    }
    return put(text(put(at, ",\"customTag\":\""), order->tag), "\"}");
}

static void work(void) {
    for (int i = 0; i < ORDERS; i++) sink += (size_t)(write_body(orders + i) - out);
}

static void check(void) {
    for (int i = 0; i < ORDERS; i++) {
        fwrite(out, 1, (size_t)(write_body(orders + i) - out), stdout);
        putchar(';');
    }
}

int main(int arguments, char **argument) {
    size_t size;
    if (arguments != 2) return 2;
    orders = peer_read(argument[1], &size);
    return size == ORDERS * sizeof(Order) ? peer_serve() : 2;
}
