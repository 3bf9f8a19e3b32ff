/* Commands of the control port. The words are the virtual board's where the two can do the same. */
#include "control.h"

#include <string.h>

#include "../firmware/firmware.h"
#include "machine.h"
#include "text.h"
#include "uart.h"

#define PREFIX(line, words) (strncmp((line), (words), sizeof(words) - 1u) == 0)

static char line[CONTROL_LINE];
static uint32_t filled;
static const char *command; /* within the line, behind its number */
static bool done;           /* in the interrupt: the loop only answers */
static volatile bool complete; /* a command waits for the loop; the sender waits for its answer */

static bool number_at(const char *at, uint32_t *number)
{
    *number = 0;
    for (; *at >= '0' && *at <= '9' && *number < 100000u; at++) {
        *number = *number * 10u + (uint32_t)(*at - '0');
    }
    return *at == '\0' && *number > 0u;
}

static bool digit_of(char one, uint32_t *digit)
{
    if (one >= '0' && one <= '9') {
        *digit = (uint32_t)(one - '0');
    } else if (one >= 'a' && one <= 'f') {
        *digit = (uint32_t)(one - 'a') + 10u;
    } else {
        return false;
    }
    return true;
}

static bool take_seed(struct bench *bench, const char *at)
{
    uint32_t digit;

    for (uint32_t index = 0; index < CONTROL_SEED * 8u; index++) {
        if (!digit_of(at[index], &digit)) {
            return false;
        }
        bench->seed[index / 8u] = bench->seed[index / 8u] << 4 | digit;
    }
    bench->seeded = at[CONTROL_SEED * 8u] == '\0';
    return bench->seeded;
}

/* A line that lost its beginning in a reset has no number, or not the one that its sender waits for. */
static const char *behind_number(const char *at)
{
    while (*at >= '0' && *at <= '9') {
        at++;
    }
    return *at == ' ' ? at + 1 : at;
}

/* The pin changes, and a wired edge calls the contact's interrupt, which comes before anything else. */
static void set_contacts(struct bench *bench, uint8_t mask, bool closed)
{
    uint8_t before = bench->contacts;

    bench->contacts = closed ? (uint8_t)(before | mask) : (uint8_t)(before & ~mask);
    if (!closed && (before & mask) != 0u) {
        bench->opened_us = FPGAIO_COUNTER;
        bench->awaits_off = true;
        bench->awaits_latch = true;
    }
    if (bench->edges && bench->contacts != before) {
        NVIC_PEND(IRQ_CONTACT) = NVIC_BIT(IRQ_CONTACT);
    }
}

static bool take_contact(struct bench *bench)
{
    static const struct {
        const char *words;
        uint8_t mask;
        bool closed;
    } change[] = {
        {"contact a open", P_CONTACT_A, false},
        {"contact a closed", P_CONTACT_A, true},
        {"contact b open", P_CONTACT_B, false},
        {"contact b closed", P_CONTACT_B, true},
        {"contact both open", P_CONTACT_A | P_CONTACT_B, false},
        {"contact both closed", P_CONTACT_A | P_CONTACT_B, true},
    };

    for (uint32_t index = 0; index < sizeof change / sizeof change[0]; index++) {
        if (strcmp(command, change[index].words) == 0) {
            set_contacts(bench, change[index].mask, change[index].closed);
            return true;
        }
    }
    return false;
}

void control_on_rx(struct uart *uart, struct bench *bench)
{
    uint8_t byte;

    uart_on_rx(uart);
    while (!complete && uart_take(uart, &byte)) {
        if (byte != '\n') {
            line[filled] = (char)byte;
            filled += filled < CONTROL_LINE - 1u ? 1u : 0u;
            continue;
        }
        line[filled] = '\0';
        filled = 0;
        command = behind_number(line);
        done = take_contact(bench);
        complete = true;
    }
}

static void describe(struct text *text, const struct bench *bench, const struct core *core)
{
    const struct link_counters *counters = &core->link.counters;

    text_put(text, "{");
    text_field(text, "state", core->state);
    text_field(text, "cause", core->cause);
    text_field(text, "contacts", core->kill.contacts);
    text_field(text, "output", FPGAIO_LED & OUTPUT_BIT);
    text_field(text, "faults", core->faults);
    text_field(text, "live", core->deadman.live ? 1u : 0u);
    text_field(text, "session", core->link.session);
    text_field(text, "trip_id", core->trip.id);
    text_field(text, "trip_acknowledged", core->trip.acknowledged ? 1u : 0u);
    text_field(text, "boots", bench->boots);
    text_field(text, "boot_id", core->boot_id);
    text_field(text, "reset", core->config.reset_cause);
    text_field(text, "now_us", FPGAIO_COUNTER);
    text_field(text, "opened_us", bench->opened_us);
    text_field(text, "off_us", bench->off_us);
    text_field(text, "latched_us", bench->latched_us);
    text_field(text, "heard_us", bench->heard_us);
    text_field(text, "dark_us", bench->dark_us);
    text_field(text, "awaits", bench->awaits_off || bench->awaits_latch ? 1u : 0u);
    text_put(text, ",\"counters\":{");
    text_field(text, "good", counters->good);
    text_field(text, "bad", counters->bad);
    text_field(text, "duplicate", counters->duplicate);
    text_field(text, "looped", counters->looped);
    text_field(text, "wrong_session", counters->wrong_session);
    text_field(text, "wrong_version", counters->wrong_version);
    text_field(text, "overrun", counters->overrun);
    text_field(text, "ignored", core->ignored);
    text_put(text, "}");
}

static void describe_lights(struct text *text, const struct core *core)
{
    struct lights lights;

    core_show(core, &lights);
    text_put(text, ",\"lights\":[");
    text_number(text, lights.board);
    text_put(text, ",");
    text_number(text, lights.host);
    text_put(text, "],\"matrix\":\"");
    for (uint32_t index = 0; index < LIGHTS_PIXELS; index++) {
        text_character(text, (char)('0' + lights.pixel[index]));
    }
    text_put(text, "\"}");
}

/* True when the command was known and made sense. */
static bool carry_out(struct bench *bench)
{
    if (done) {
        return true;
    }
    if (PREFIX(command, "entropy ")) {
        return take_seed(bench, command + sizeof "entropy " - 1u);
    }
    if (PREFIX(command, "freeze ")) {
        bench->frozen_ms = 0;
        bench->frozen = strcmp(command, "freeze on") == 0 || number_at(command + sizeof "freeze " - 1u, &bench->frozen_ms);
        return bench->frozen;
    }
    if (PREFIX(command, "clock ")) {
        return number_at(command + sizeof "clock " - 1u, &bench->jump_ms);
    }
    if (PREFIX(command, "edge ")) {
        bench->edges = strcmp(command, "edge on") == 0;
        return bench->edges || strcmp(command, "edge off") == 0;
    }
    if (PREFIX(command, "readback ")) {
        bench->stuck = strcmp(command, "readback stuck") == 0;
        return bench->stuck || strcmp(command, "readback ok") == 0;
    }
    bench->reboot = strcmp(command, "reboot") == 0;
    return bench->reboot;
}

void control_turn(struct uart *uart, struct bench *bench, const struct core *core)
{
    static struct text answer;

    if (!complete) {
        return;
    }
    answer.size = 0;
    for (const char *at = line; at < command; at++) {
        text_character(&answer, *at);
    }
    if (strcmp(command, "state") == 0) {
        describe(&answer, bench, core);
        describe_lights(&answer, core);
    } else if (carry_out(bench)) {
        text_put(&answer, "{\"ok\":true}");
    } else {
        text_put(&answer, "{\"error\":\"no such command\"}");
    }
    text_put(&answer, "\n");
    if (uart_send(uart, (const uint8_t *)answer.data, answer.size)) {
        complete = false;
        NVIC_PEND(uart->rx_irq) = NVIC_BIT(uart->rx_irq); /* what came meanwhile */
    }
}
