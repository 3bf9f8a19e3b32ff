/* The rules of app/risk/checks.py that an entry passes, in their order, on an account with a position and live orders.
 * "risk_check_c FILE"; FILE is what ../risk_check.py writes. Sums and products are checked as ours are. */
#include <stdbool.h>

#include "peer.h"

enum { MOST = 8 };
typedef struct { int64_t weight, tick_value, fee, most, open_ns, until_ns; const char *contract; } Product;
typedef struct {
    char tag[24];
    const char *contract, *parent, *oco;
    int64_t account, side, size, filled, kind, limit, stop, bracket_stop, bracket_target;
    bool entry, live, has_limit, has_stop, has_bracket;
} Order;
typedef struct { const char *contract; const Product *known; int64_t buys, sells; } Pending;
typedef struct { int64_t remaining; const Order *from; } Leg;

static const char *const contracts[] = {"CON.F.US.EP.Z26", "CON.F.US.MES.Z26", "CON.F.US.ENQ.Z26"};
static struct {
    int64_t collar, quote_age, order_contracts, tenths, slippage, daily, least_bracket;
    int64_t full_until, day_from, day_until, echo_until;
} rules;
static struct {
    int64_t utc, mono, bid, ask, last, recv, day, balance, equity, floor;
    const char *contract, *journal_failed;
    const Product *instrument;
    bool active, listed, synced, armed, has_account, can_trade, has_bid, has_ask, has_last;
    bool has_day, has_balance, has_equity, has_floor;
    int64_t account, unknown;
} seen;
static struct { const char *tag; int64_t size; } raised[MOST];
static int64_t raised_count;
static Product products[MOST];
static struct { const char *contract; int64_t net; } positions[MOST];
static Order live[MOST], *asked;
static int64_t product_count, position_count, live_count, asked_count;
static bool overflow;

static int64_t plus(int64_t a, int64_t b) {
    int64_t c;
    if (__builtin_add_overflow(a, b, &c)) overflow = true;
    return c;
}

static int64_t times(int64_t a, int64_t b) {
    int64_t c;
    if (__builtin_mul_overflow(a, b, &c)) overflow = true;
    return c;
}

static int64_t size_of(int64_t a) { return a < 0 ? -a : a; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t remaining(const Order *o) { return o->live ? plus(o->size, -o->filled) : 0; }

static const Product *product(const char *contract) {
    for (int64_t i = 0; i < product_count; i++)
        if (!strcmp(products[i].contract, contract)) return &products[i];
    return NULL;
}

static int64_t net_of(const char *contract) {
    for (int64_t i = 0; i < position_count; i++)
        if (!strcmp(positions[i].contract, contract)) return positions[i].net;
    return 0;
}

static bool collared(const Order *o) {
    int64_t near = o->side > 0 ? seen.ask : seen.bid, spread = plus(seen.ask, -seen.bid);
    if (spread < 0 || spread > rules.collar) return true;
    if (seen.has_last && size_of(plus(seen.last, -near)) > rules.collar) return true;
    if (o->has_stop && times(plus(o->stop, -near), o->side) <= 0) return true;
    int64_t price = o->has_stop ? o->stop : o->has_limit ? o->limit : near;
    return size_of(plus(price, -near)) > rules.collar;
}

static void add(Pending *found, int *count, const char *contract, int64_t side, int64_t size) {
    int at = 0;
    while (at < *count && strcmp(found[at].contract, contract)) at++;
    if (at == *count) found[(*count)++] = (Pending){contract, product(contract), 0, 0};
    if (size > 0 && side < 0) found[at].sells = plus(found[at].sells, size);
    else if (size > 0) found[at].buys = plus(found[at].buys, size);
}

static void take_leg(Leg *legs, int *count, int64_t left, const Order *each) {
    for (int i = 0; i < *count; i++)
        if (!strcmp(legs[i].from->parent, each->parent)) {
            if (left > legs[i].remaining) legs[i] = (Leg){left, each};
            return;
        }
    legs[(*count)++] = (Leg){left, each};
}

static int64_t raised_to(const Order *o) {
    for (int64_t i = 0; i < raised_count; i++)
        if (!strcmp(raised[i].tag, o->tag)) return larger(0, plus(raised[i].size, -o->size));
    return 0;
}

static bool too_many(const Order *o, const Product *own) {
    Pending found[2 * MOST + 1];
    Leg legs[MOST], left[MOST];
    int founds = 0, leg_count = 0, lefts = 0;
    bool placed = false;
    for (int64_t i = 0; i < live_count; i++) {
        const Order *each = &live[i];
        if (!strcmp(each->tag, o->tag)) each = o, placed = true;
        int64_t rest = remaining(each);
        if (raised_count && rest) rest = plus(rest, raised_to(each));
        if (!each->entry && each->parent) {
            take_leg(legs, &leg_count, rest, each);
            continue;
        }
        left[lefts++] = (Leg){rest, each};
        add(found, &founds, each->contract, each->side, rest);
    }
    if (!placed) add(found, &founds, o->contract, o->side, remaining(o));
    for (int i = 0; i < leg_count; i++) {
        for (int j = 0; j < lefts; j++)
            if (!strcmp(left[j].from->tag, legs[i].from->parent))
                legs[i].remaining = plus(legs[i].remaining, -left[j].remaining);
        add(found, &founds, legs[i].from->contract, legs[i].from->side, legs[i].remaining);
    }
    for (int64_t i = 0; i < position_count; i++) add(found, &founds, positions[i].contract, 1, 0);
    int64_t of_symbol = 0, tenths = 0;
    for (int i = 0; i < founds; i++) {
        int64_t net = net_of(found[i].contract), worst = larger(plus(net, found[i].buys), plus(found[i].sells, -net));
        tenths = plus(tenths, times(worst, found[i].known->weight));
        if (found[i].known == own) of_symbol = plus(of_symbol, worst);
    }
    return of_symbol > own->most || tenths > rules.tenths;
}

static int64_t at_risk(const Order *o) {
    const Product *p = product(o->contract);
    return times(remaining(o), plus(times(plus(rules.slippage, o->bracket_stop), p->tick_value), p->fee));
}

typedef struct { const char *oco; int64_t counted; } Group;

static int64_t dearest(Group *groups, int *count, const Order *o, int64_t loss) {
    if (!o->oco) return loss;
    for (int i = 0; i < *count; i++)
        if (!strcmp(groups[i].oco, o->oco)) {
            int64_t more = larger(0, plus(loss, -groups[i].counted));
            groups[i].counted = larger(loss, groups[i].counted);
            return more;
        }
    groups[(*count)++] = (Group){o->oco, loss};
    return loss;
}

static bool too_dear(const Order *o) {
    if (!seen.has_day || !seen.has_equity || !seen.has_balance || !seen.has_floor) return true;
    Group groups[MOST + 1];
    int count = 0;
    int64_t risk = dearest(groups, &count, o, at_risk(o));
    for (int64_t i = 0; i < live_count; i++)
        if (live[i].entry && strcmp(live[i].tag, o->tag))
            risk = plus(risk, dearest(groups, &count, &live[i], at_risk(&live[i])));
    for (int64_t i = 0; i < position_count; i++) {
        const Product *p = product(positions[i].contract);
        int64_t each = plus(times(p->tick_value, rules.slippage), (p->fee + 1) / 2);
        risk = plus(risk, times(size_of(positions[i].net), each));
    }
    if (rules.daily && plus(seen.day, -risk) <= -rules.daily) return true;
    return plus(seen.equity, -risk) <= seen.floor;
}

static int64_t checked(const Order *o) {
    if (o->size < 1 || o->size <= o->filled || o->kind < 0 || o->kind > 2) return 0;
    if (o->has_limit != (o->kind == 1) || o->has_stop != (o->kind == 2)) return 0;
    if (!seen.listed || (seen.has_account && seen.account != o->account)) return 1;
    if (!seen.synced) return 2;
    if (!seen.active) return 3;
    if (!seen.armed) return 4;
    if (seen.unknown) return 5;
    if (*seen.journal_failed) return 6;
    if (!seen.has_account || !seen.can_trade) return 7;
    const Product *own = product(o->contract);
    if (!own || seen.instrument != own) return 8;
    int64_t stop = o->has_bracket ? o->bracket_stop : 0, target = o->has_bracket ? o->bracket_target : 0;
    if (o->entry && (stop < rules.least_bracket || (target && target < rules.least_bracket))) return 9;
    if (o->size > rules.order_contracts) return 10;
    if (!o->entry) return 11;
    if (seen.utc < own->open_ns || seen.utc >= own->until_ns) return 12;
    if (!seen.has_bid || !seen.has_ask) return 13;
    int64_t age = plus(seen.mono, -seen.recv);
    if (strcmp(seen.contract, o->contract) || age < 0 || age > rules.quote_age) return 13;
    if (collared(o)) return 14;
    if (seen.mono < rules.full_until || seen.utc < rules.day_from || seen.utc >= rules.day_until) return 15;
    if (too_many(o, own)) return 16;
    if (too_dear(o)) return 17;
    return seen.mono < rules.echo_until ? 18 : -1;
}

static int64_t *next;

static Order *load_orders(Order *list, int64_t count, char prefix) {
    for (int64_t i = 0; i < count; i++) {
        Order *o = &list[i];
        snprintf(o->tag, sizeof o->tag, "%c%" PRId64, prefix, i);
        o->contract = contracts[*next++];
        o->side = *next++, o->size = *next++, o->filled = *next++, o->kind = *next++;
        o->account = 1, o->has_limit = o->kind == 1, o->has_stop = o->kind == 2;
        o->entry = *next++, o->limit = *next++, o->stop = *next++;
        o->bracket_stop = *next++, o->bracket_target = *next++;
        o->has_bracket = o->bracket_stop != 0;
        o->parent = *next++ ? "filled" : NULL;
        o->oco = *next++ ? "pair" : NULL;
        o->live = *next++;
    }
    return list;
}

static void load(const char *path) {
    size_t size;
    next = peer_read(path, &size);
    memcpy(&rules, next, sizeof rules);
    next += sizeof rules / sizeof *next;
    product_count = *next++;
    for (int64_t i = 0; i < product_count; i++, next += 6) {
        memcpy(&products[i], next, 6 * sizeof *next);
        products[i].contract = contracts[i];
    }
    memcpy(&seen, next, 10 * sizeof *next);
    next += 10;
    seen.contract = contracts[0], seen.journal_failed = "";
    seen.active = seen.listed = seen.synced = seen.armed = seen.has_account = seen.can_trade = true;
    seen.has_bid = seen.has_ask = seen.has_last = true;
    seen.has_day = seen.has_balance = seen.has_equity = seen.has_floor = true;
    seen.account = 1, seen.instrument = &products[0];
    position_count = *next++;
    for (int64_t i = 0; i < position_count; i++, next += 2) {
        positions[i].contract = contracts[next[0]];
        positions[i].net = next[1];
    }
    live_count = *next++;
    if (live_count > MOST) exit(2);
    load_orders(live, live_count, 'e');
    asked_count = *next++;
    asked = load_orders(calloc((size_t)asked_count, sizeof *asked), asked_count, 't');
}

static volatile int64_t kept;

static void work(void) {
    int64_t sum = 0;
    for (int64_t i = 0; i < asked_count; i++) sum = ((sum * 31 + checked(&asked[i])) % 1000003 + 1000003) % 1000003;
    kept = sum;
}

static void check(void) {
    work();
    if (overflow) printf("overflow");
    else printf("%" PRId64, kept);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    load(arguments[1]);
    return peer_serve();
}
