/* Implements control.h: a table of commands, each given its words. */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { MAX_WORDS = 4, MAX_COUNT = 1000000, MAX_FREEZE_MS = 3600000 };

/* Carries a command out; NULL, or what is wrong with it. */
typedef const char *action(struct machine *machine, const char *const *word, char *out);

static bool number(const char *text, uint32_t highest, int base, uint32_t *value)
{
    char *end = NULL;
    unsigned long long parsed;

    errno = 0;
    parsed = strtoull(text, &end, base);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || parsed > highest) {
        return false;
    }
    *value = (uint32_t)parsed;
    return true;
}

static bool is(const char *word, const char *wanted)
{
    return strcmp(word, wanted) == 0;
}

static const char *contact(struct machine *machine, const char *const *word, char *out)
{
    uint8_t mask = is(word[1], "a") ? P_CONTACT_A : is(word[1], "b") ? P_CONTACT_B : P_CONTACT_A | P_CONTACT_B;
    bool open = is(word[2], "open");

    (void)out;
    if (!is(word[1], "a") && !is(word[1], "b") && !is(word[1], "both")) {
        return "contact a, b or both";
    }
    if (!open && !is(word[2], "closed")) {
        return "contact open or closed";
    }
    machine_set_contacts(machine, (uint8_t)(open ? machine->contacts & ~mask : machine->contacts | mask));
    return NULL;
}

static const char *unplug(struct machine *machine, const char *const *word, char *out)
{
    (void)word;
    (void)out;
    port_unplug(&machine->port);
    return NULL;
}

static const char *plug(struct machine *machine, const char *const *word, char *out)
{
    (void)word;
    if (machine->port.master < 0 && !port_plug(&machine->port)) {
        return "no pty to be had";
    }
    snprintf(out, CONTROL_ANSWER, "{\"ok\":true,\"pty\":\"%s\"}\n", machine->port.name);
    return NULL;
}

static const char *freeze(struct machine *machine, const char *const *word, char *out)
{
    uint32_t milliseconds = 0;

    (void)out;
    if (is(word[1], "on")) {
        machine_freeze(machine, MACHINE_FOREVER);
    } else if (is(word[1], "off")) {
        machine_freeze(machine, 0);
    } else if (number(word[1], MAX_FREEZE_MS, 10, &milliseconds)) {
        machine_freeze(machine, milliseconds);
    } else {
        return "freeze milliseconds, on or off";
    }
    return NULL;
}

/* The commands that set a count of frames or bytes. */
static const char *count(struct machine *machine, const char *const *word, char *out)
{
    struct line *line = &machine->line;
    uint32_t *wanted = is(word[0], "corrupt")     ? &line->corrupt
                       : is(word[0], "drop")      ? &line->drop
                       : is(word[0], "duplicate") ? &line->duplicate
                       : is(word[0], "swap")      ? &line->swap
                       : is(word[0], "truncate")  ? &line->truncate
                                                  : &line->noise;

    (void)out;
    return number(word[1], MAX_COUNT, 10, wanted) ? NULL : "a count up to 1000000";
}

static const char *replay(struct machine *machine, const char *const *word, char *out)
{
    (void)word;
    snprintf(out, CONTROL_ANSWER, "{\"ok\":true,\"frames\":%zu}\n", line_replay(&machine->line, clock_us()));
    return NULL;
}

static const char *loop(struct machine *machine, const char *const *word, char *out)
{
    (void)out;
    if (!is(word[1], "on") && !is(word[1], "off")) {
        return "loop on or off";
    }
    machine->line.loop = is(word[1], "on");
    return NULL;
}

static const char *stuck(struct machine *machine, const char *const *word, char *out)
{
    uint32_t byte = 0;
    uint32_t milliseconds = 0;

    (void)out;
    if (!number(word[1], UINT8_MAX, 0, &byte) || !number(word[2], MAX_FREEZE_MS, 10, &milliseconds)) {
        return "stuck byte milliseconds";
    }
    machine->line.stuck_byte = (uint8_t)byte;
    machine->line.stuck_until_us = clock_us() + (uint64_t)milliseconds * 1000u;
    return NULL;
}

static const char *reboot(struct machine *machine, const char *const *word, char *out)
{
    (void)word;
    (void)out;
    machine_reset(machine, P_RESET_SOFTWARE);
    return NULL;
}

static const char *readback(struct machine *machine, const char *const *word, char *out)
{
    (void)out;
    if (!is(word[1], "stuck") && !is(word[1], "ok")) {
        return "readback stuck or ok";
    }
    machine->read_back_stuck = is(word[1], "stuck");
    return NULL;
}

static const char *version(struct machine *machine, const char *const *word, char *out)
{
    uint32_t wanted = 0;

    (void)out;
    if (!number(word[1], UINT8_MAX, 10, &wanted)) {
        return "version 0 to 255";
    }
    machine->line.version = (uint8_t)wanted;
    return NULL;
}

static const char *jump(struct machine *machine, const char *const *word, char *out)
{
    uint32_t left_ms = 0;

    (void)out;
    if (!number(word[1], MAX_COUNT, 10, &left_ms) || left_ms == 0) {
        return "clock milliseconds";
    }
    machine_jump(machine, left_ms);
    return NULL;
}

static const char *entropy(struct machine *machine, const char *const *word, char *out)
{
    uint32_t more = 0;

    (void)out;
    if (!number(word[1], UINT32_MAX, 16, &more)) {
        return "entropy of up to eight hexadecimal digits";
    }
    core_stir(&machine->core, more);
    return NULL;
}

static const char *const STATE_NAMES[] = {"tripped", "ready", "run", "fault"};
static const char *const CAUSE_NAMES[] = {"none",    "boot",  "switch",   "link", "host",
                                          "session", "noise", "protocol", "fault"};
static const char *const LIGHT_NAMES[] = {"off", "blue", "green", "cyan", "red", "magenta", "amber", "white"};

static void format_matrix(const struct lights *lights, char matrix[LIGHTS_PIXELS + 1])
{
    for (unsigned index = 0; index < LIGHTS_PIXELS; index++) {
        matrix[index] = (char)('0' + lights->pixel[index]);
    }
    matrix[LIGHTS_PIXELS] = '\0';
}

static void format_counters(const struct core *core, char *out, size_t room)
{
    const struct link_counters *counters = &core->link.counters;

    snprintf(out, room,
             "{\"good\":%" PRIu32 ",\"bad\":%" PRIu32 ",\"duplicate\":%" PRIu32 ",\"looped\":%" PRIu32
             ",\"wrong_session\":%" PRIu32 ",\"wrong_version\":%" PRIu32 ",\"overrun\":%" PRIu32 ",\"ignored\":%" PRIu32
             "}",
             counters->good, counters->bad, counters->duplicate, counters->looped, counters->wrong_session,
             counters->wrong_version, counters->overrun, core->ignored);
}

static const char *state(struct machine *machine, const char *const *word, char *out)
{
    const struct core *core = &machine->core;
    struct lights lights;
    char matrix[LIGHTS_PIXELS + 1];
    char counters[512];

    (void)word;
    core_show(core, &lights);
    format_matrix(&lights, matrix);
    format_counters(core, counters, sizeof counters);
    snprintf(out, CONTROL_ANSWER,
             "{\"state\":\"%s\",\"cause\":\"%s\",\"contacts\":%u,\"output\":%s,\"faults\":%u,\"live\":%s,"
             "\"session\":%" PRIu32 ",\"trip_id\":%u,\"trip_acknowledged\":%s,\"boot_id\":%" PRIu32
             ",\"resets\":%" PRIu32 ",\"plugged\":%s,\"lights\":[\"%s\",\"%s\"],\"matrix\":\"%s\""
             ",\"latency_us\":%" PRIu64 ",\"counters\":%s}\n",
             STATE_NAMES[core->state], CAUSE_NAMES[core->cause], core->kill.contacts,
             machine->output ? "true" : "false", core->faults, core->deadman.live ? "true" : "false",
             core->link.session, core->trip.id, core->trip.acknowledged ? "true" : "false", core->boot_id,
             machine->resets, machine->port.master >= 0 ? "true" : "false", LIGHT_NAMES[lights.board],
             LIGHT_NAMES[lights.host], matrix, machine->latency_us, counters);
    return NULL;
}

static const struct command {
    const char *name;
    int words; /* with the name */
    action *act;
} COMMANDS[] = {
    {"contact", 3, contact}, {"unplug", 1, unplug},     {"plug", 1, plug},        {"freeze", 2, freeze},
    {"corrupt", 2, count},   {"drop", 2, count},        {"duplicate", 2, count},  {"swap", 2, count},
    {"truncate", 2, count},  {"noise", 2, count},       {"replay", 1, replay},    {"loop", 2, loop},
    {"stuck", 3, stuck},     {"reboot", 1, reboot},     {"readback", 2, readback}, {"version", 2, version},
    {"clock", 2, jump},      {"entropy", 2, entropy}, {"state", 1, state},
};

static int split(char *line, const char *word[MAX_WORDS])
{
    char *rest = NULL;
    int words = 0;

    for (char *next = strtok_r(line, " \t\r", &rest); next != NULL; next = strtok_r(NULL, " \t\r", &rest)) {
        if (words == MAX_WORDS) {
            return MAX_WORDS + 1;
        }
        word[words++] = next;
    }
    return words;
}

static const char *dispatch(struct machine *machine, const char *const *word, int words, char *out)
{
    for (size_t index = 0; index < sizeof COMMANDS / sizeof COMMANDS[0]; index++) {
        const struct command *command = &COMMANDS[index];

        if (words > 0 && is(word[0], command->name)) {
            return words == command->words ? command->act(machine, word, out) : "wrong number of words";
        }
    }
    return "unknown command";
}

void control_execute(struct machine *machine, char *line, char out[CONTROL_ANSWER])
{
    const char *word[MAX_WORDS] = {0};
    int words = split(line, word);
    const char *wrong;

    strcpy(out, "{\"ok\":true}\n");
    wrong = dispatch(machine, word, words, out);
    if (wrong != NULL) {
        snprintf(out, CONTROL_ANSWER, "{\"error\":\"%s\"}\n", wrong);
    }
}
