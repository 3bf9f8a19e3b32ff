/* The best sequences of portfolio actions, as native/sequences_py.py defines them: `sequences_c FILE each` simulates
 * every sequence from the start, `sequences_c FILE shared` extends prefixes. FILE is what ../sequences.py writes. */
#include "peer.h"

#include <math.h>

enum { SECURITIES = 512, PARTS = 128, ACTIONS = 64, DEPTH = 8, KEPT = 64 };

typedef struct {
    double score;
    int size, path[DEPTH];
} Found;

static int held, countries, groups, actions, depth, limit, shared;
static int64_t cash, total, value[SECURITIES], country[SECURITIES], group[SECURITIES];
static double merit[SECURITIES], weight[5], scale[3];
static int64_t wanted[SECURITIES], wanted_country[PARTS], wanted_group[PARTS]; /* micro-units */
static int64_t security[ACTIONS], change[ACTIONS], fee[ACTIONS];
static double rate[3], gain[ACTIONS], base;
static Found best[KEPT + 1];
static int kept;

static inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }
static inline double above(double x) { return x > 0 ? x : 0; }

static double from_bits(int64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void load(const char *path) {
    size_t size;
    int64_t *next = peer_read(path, &size);
    held = (int)*next++, countries = (int)*next++, groups = (int)*next++, actions = (int)*next++;
    depth = (int)*next++, limit = (int)*next++, cash = *next++;
    if (held > SECURITIES || countries > PARTS || groups > PARTS || actions > ACTIONS || limit > KEPT) exit(2);
    total = cash;
    for (int i = 0; i < held; i++) total += value[i] = *next++;
    for (int i = 0; i < held; i++) country[i] = *next++;
    for (int i = 0; i < held; i++) group[i] = *next++;
    for (int i = 0; i < held; i++) merit[i] = from_bits(*next++);
    for (int i = 0; i < held; i++) wanted[i] = llrint(from_bits(*next++) * (double)total);
    for (int i = 0; i < countries; i++) wanted_country[i] = llrint(from_bits(*next++) * (double)total);
    for (int i = 0; i < groups; i++) wanted_group[i] = llrint(from_bits(*next++) * (double)total);
    for (int i = 0; i < 5; i++) weight[i] = from_bits(*next++);
    for (int i = 0; i < 3; i++) scale[i] = from_bits(*next++);
    for (int i = 0; i < actions; i++) security[i] = *next++, change[i] = *next++, fee[i] = *next++;
    int counts[3] = {held, countries, groups};
    for (int i = 0; i < 3; i++) rate[i] = weight[i + 1] / (scale[i] * counts[i] * (double)total);
    for (int i = 0; i < held; i++) base += (double)value[i] * merit[i];
    base = weight[0] * base / (double)total;
    for (int i = 0; i < actions; i++) {
        double gained = weight[0] * merit[security[i]] * (double)change[i];
        gain[i] = (gained - weight[4] * (double)fee[i]) / (double)total;
    }
}

static void offer(double score, const int *path, int size) {
    if (kept == limit && score < best[kept - 1].score) return;
    int place = kept;
    while (place > 0 && (score > best[place - 1].score || (score == best[place - 1].score && size < best[place - 1].size)))
        place--;
    if (place == limit) return;
    if (kept < limit) kept++;
    memmove(&best[place + 1], &best[place], (size_t)(kept - place - 1) * sizeof *best);
    best[place].score = score, best[place].size = size;
    memcpy(best[place].path, path, (size_t)size * sizeof *path);
}

/* One sequence, simulated from the start. */
static void evaluate(const int *path, int size) {
    int64_t now[SECURITIES], in_country[PARTS], in_group[PARTS], left = cash, paid = 0;
    memcpy(now, value, (size_t)held * sizeof *now);
    for (int i = 0; i < size; i++) {
        int action = path[i];
        for (int j = 0; j < i; j++)
            if (security[path[j]] == security[action]) return;
        left -= change[action] + fee[action];
        paid += fee[action];
        now[security[action]] += change[action];
        if (left < 0 || now[security[action]] < 0) return;
    }
    memset(in_country, 0, (size_t)countries * sizeof *in_country);
    memset(in_group, 0, (size_t)groups * sizeof *in_group);
    int64_t off = 0, off_country = 0, off_group = 0;
    double earned = 0;
    for (int i = 0; i < held; i++) {
        earned += (double)now[i] * merit[i];
        off += magnitude(now[i] - wanted[i]);
        in_country[country[i]] += now[i];
        in_group[group[i]] += now[i];
    }
    for (int i = 0; i < countries; i++) off_country += magnitude(in_country[i] - wanted_country[i]);
    for (int i = 0; i < groups; i++) off_group += magnitude(in_group[i] - wanted_group[i]);
    double score = (weight[0] * earned - weight[4] * (double)paid) / (double)total;
    score += above(weight[1] - (double)off * rate[0]);
    score += above(weight[2] - (double)off_country * rate[1]);
    score += above(weight[3] - (double)off_group * rate[2]);
    offer(score, path, size);
}

static void each(int *path, int size, int first) {
    evaluate(path, size);
    if (size == depth) return;
    for (int action = first; action < actions; action++) {
        path[size] = action;
        each(path, size + 1, action + 1);
    }
}

static int64_t gap[SECURITIES], gap_country[PARTS], gap_group[PARTS];
static char taken[SECURITIES];
static int path_now[DEPTH];

static void extend(int first, int size, int64_t left, int64_t off, int64_t off_country, int64_t off_group, double linear) {
    for (int action = first; action < actions; action++) {
        int64_t which = security[action], where = country[which], of = group[which], by = change[action];
        int64_t rest = left - by - fee[action];
        if (rest < 0 || taken[which] || value[which] + by < 0) continue;
        int64_t was = gap[which], was_country = gap_country[where], was_group = gap_group[of];
        int64_t sum = off + magnitude(was + by) - magnitude(was);
        int64_t sum_country = off_country + magnitude(was_country + by) - magnitude(was_country);
        int64_t sum_group = off_group + magnitude(was_group + by) - magnitude(was_group);
        double grown = linear + gain[action], score = grown;
        score += above(weight[1] - (double)sum * rate[0]);
        score += above(weight[2] - (double)sum_country * rate[1]);
        score += above(weight[3] - (double)sum_group * rate[2]);
        path_now[size] = action;
        if (kept < limit || score >= best[kept - 1].score) offer(score, path_now, size + 1);
        if (size + 1 < depth) {
            taken[which] = 1, gap_country[where] = was_country + by, gap_group[of] = was_group + by;
            extend(action + 1, size + 1, rest, sum, sum_country, sum_group, grown);
            taken[which] = 0, gap_country[where] = was_country, gap_group[of] = was_group;
        }
    }
}

static void from_prefixes(void) {
    int64_t off = 0, off_country = 0, off_group = 0;
    for (int i = 0; i < countries; i++) gap_country[i] = -wanted_country[i];
    for (int i = 0; i < groups; i++) gap_group[i] = -wanted_group[i];
    for (int i = 0; i < held; i++) {
        off += magnitude(gap[i] = value[i] - wanted[i]);
        gap_country[country[i]] += value[i];
        gap_group[group[i]] += value[i];
    }
    for (int i = 0; i < countries; i++) off_country += magnitude(gap_country[i]);
    for (int i = 0; i < groups; i++) off_group += magnitude(gap_group[i]);
    double score = base + above(weight[1] - (double)off * rate[0]);
    score += above(weight[2] - (double)off_country * rate[1]);
    score += above(weight[3] - (double)off_group * rate[2]);
    offer(score, path_now, 0);
    extend(0, 0, cash, off, off_country, off_group, base);
}

static void work(void) {
    int path[DEPTH];
    kept = 0;
    if (shared) from_prefixes();
    else each(path, 0, 0);
}

static void check(void) {
    work();
    for (int i = 0; i < kept; i++) {
        printf("%.12f", best[i].score);
        for (int step = 0; step < best[i].size; step++) printf(",%d", best[i].path[step]);
        printf(";");
    }
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    load(arguments[1]);
    shared = !strcmp(arguments[2], "shared");
    return peer_serve();
}
