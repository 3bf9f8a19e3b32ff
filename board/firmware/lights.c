/* Implements lights.h; board/README.md has the same tables in words, and a test tries every combination. */
#include "lights.h"

enum {
    SLOW_MS = 512, /* half a period: about 1 Hz, "look when you pass" */
    FAST_MS = 128, /* half a period: about 4 Hz, "look now"; both divide 2^32, so no blink is cut when time wraps */
    SYMBOL_COLUMNS = 8,
    NET_COLUMN = 9,    /* and the next one */
    PROFIT_COLUMN = 11, /* and the next one */
    MIDDLE_ROW = 4,    /* bars grow up from above it, down from it */
    DIM = 1,           /* of P_MATRIX_BRIGHTEST: the bars, when shown at all */
    FULL = P_MATRIX_BRIGHTEST,
};

enum blink { STEADY, SLOW, FAST };

struct pattern {
    uint8_t light;
    uint8_t blink;
};

static const struct pattern BOARD[] = {
    [P_STATE_TRIPPED] = {LIGHT_RED, STEADY},
    [P_STATE_READY] = {LIGHT_AMBER, STEADY},
    [P_STATE_RUN] = {LIGHT_GREEN, STEADY},
    [P_STATE_FAULT] = {LIGHT_RED, FAST},
};

static const struct pattern HOST[] = {
    [P_STATUS_STARTING] = {LIGHT_BLUE, SLOW},
    [P_STATUS_DISARMED] = {LIGHT_BLUE, STEADY},
    [P_STATUS_ARMED_FLAT] = {LIGHT_GREEN, STEADY},
    [P_STATUS_IN_POSITION] = {LIGHT_GREEN, SLOW},
    [P_STATUS_NEAR_LIMIT] = {LIGHT_AMBER, FAST},
    [P_STATUS_DEGRADED_FEED] = {LIGHT_AMBER, SLOW},
    [P_STATUS_HALTED] = {LIGHT_RED, SLOW},
    [P_STATUS_TRIPPED] = {LIGHT_RED, STEADY},
    [P_STATUS_UPDATING] = {LIGHT_BLUE, FAST},
    [P_STATUS_FAULT] = {LIGHT_RED, FAST},
};

/* One byte a row, the left pixel its highest bit. */
static const uint8_t SYMBOL[][P_MATRIX_ROWS] = {
    [P_STATE_TRIPPED] = {0xC3, 0xE7, 0x7E, 0x3C, 0x3C, 0x7E, 0xE7, 0xC3}, /* a cross */
    [P_STATE_READY] = {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},   /* two bars: paused */
    [P_STATE_RUN] = {0x60, 0x78, 0x7E, 0x7F, 0x7F, 0x7E, 0x78, 0x60},     /* a triangle: running */
    [P_STATE_FAULT] = {0x18, 0x18, 0x18, 0x18, 0x18, 0x00, 0x18, 0x18},   /* an exclamation mark */
};

/* Rows of a bar by amount: each row is about four times the one before. */
static const uint32_t NET_STEPS[] = {1, 4, 16, 64};            /* contracts */
static const uint32_t PROFIT_STEPS[] = {1, 100, 400, 1600};    /* USD */

static bool is_lit(uint8_t blink, uint32_t now_ms)
{
    uint32_t half = blink == FAST ? FAST_MS : SLOW_MS;

    return blink == STEADY || now_ms / half % 2 == 0;
}

static uint8_t shown(const struct pattern *pattern, uint32_t now_ms)
{
    return is_lit(pattern->blink, now_ms) ? pattern->light : (uint8_t)LIGHT_OFF;
}

static uint8_t host_light(uint8_t state, bool live, const struct lights_request *request, uint32_t now_ms)
{
    struct pattern pattern;

    if (!live || !request->given || request->status > P_STATUS_FAULT) {
        return LIGHT_OFF;
    }
    pattern = HOST[request->status];
    if (pattern.light == LIGHT_GREEN && state != P_STATE_RUN) {
        pattern.light = LIGHT_AMBER; /* the host believes it trades; the output says it does not */
    }
    return shown(&pattern, now_ms);
}

static void set(struct lights *lights, int row, int column, uint8_t brightness)
{
    lights->pixel[row * P_MATRIX_COLUMNS + column] = brightness;
}

static void draw_symbol(struct lights *lights, uint8_t state)
{
    for (int row = 0; row < P_MATRIX_ROWS; row++) {
        for (int column = 0; column < SYMBOL_COLUMNS; column++) {
            bool lit = (SYMBOL[state][row] >> (SYMBOL_COLUMNS - 1 - column) & 1) != 0;

            set(lights, row, column, lit ? FULL : 0);
        }
    }
}

static void draw_bar(struct lights *lights, int column, int32_t value, const uint32_t steps[4])
{
    uint32_t amount = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;

    for (int step = 0; step < MIDDLE_ROW && amount >= steps[step]; step++) {
        int row = value < 0 ? MIDDLE_ROW + step : MIDDLE_ROW - 1 - step;

        set(lights, row, column, DIM);
        set(lights, row, column + 1, DIM);
    }
}

/* Bottom of the gap between symbol and bars: the channels that are closed, A above B. */
static void draw_contacts(struct lights *lights, uint8_t contacts)
{
    set(lights, P_MATRIX_ROWS - 2, SYMBOL_COLUMNS, (contacts & P_CONTACT_A) != 0 ? FULL : 0);
    set(lights, P_MATRIX_ROWS - 1, SYMBOL_COLUMNS, (contacts & P_CONTACT_B) != 0 ? FULL : 0);
}

void core_lights(uint8_t state, uint16_t faults, uint8_t contacts, bool live, const struct lights_request *request,
                 uint32_t now_ms, struct lights *lights)
{
    bool broken = state > P_STATE_FAULT || (faults & (P_FAULT_DISCREPANCY | P_FAULT_READBACK)) != 0;
    uint8_t truth = broken ? P_STATE_FAULT : state;

    if (truth == P_STATE_RUN && !live) {
        truth = P_STATE_TRIPPED; /* the deadman comes first; should it ever not, no green */
    }
    *lights = (struct lights){0};
    lights->board = shown(&BOARD[truth], now_ms);
    lights->host = host_light(truth, live, request, now_ms);
    draw_symbol(lights, truth);
    draw_contacts(lights, contacts);
    if (live) {
        set(lights, 0, SYMBOL_COLUMNS, is_lit(SLOW, now_ms) ? FULL : 0); /* its blinking shows that the loop turns */
    }
    if (live && request->given) {
        draw_bar(lights, NET_COLUMN, request->net, NET_STEPS);
        draw_bar(lights, PROFIT_COLUMN, request->pnl_usd, PROFIT_STEPS);
    }
}
