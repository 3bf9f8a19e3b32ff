/* Implements machine.h. */
#include "machine.h"

#include <string.h>

#include "clock.h"

#ifndef P_FIRMWARE_HASH
#error "the build gives P_FIRMWARE_HASH, eight bytes as 0x.., 0x.., ..."
#endif

static uint32_t now_ms(const struct machine *machine)
{
    return (uint32_t)((clock_us() - machine->origin_us) / 1000);
}

void machine_reset(struct machine *machine, uint8_t cause)
{
    uint64_t now_us = clock_us();

    machine->output = false; /* the pin of a processor in reset drives nothing */
    machine->config.reset_cause = cause;
    for (unsigned index = 0; index < 4; index++) {
        machine->config.entropy[index] = random_next(&machine->seed);
    }
    if (cause != P_RESET_POWER) {
        machine->origin_us = now_us;
        machine->resets++;
    }
    machine->fed_us = now_us;
    core_init(&machine->core, &machine->config, now_ms(machine));
}

void machine_init(struct machine *machine, const char *link, uint64_t seed, bool two_channels, uint32_t uptime_ms)
{
    static const uint8_t HASH[P_HASH_SIZE] = {P_FIRMWARE_HASH};

    memset(machine, 0, sizeof *machine);
    machine->port = (struct port){.master = -1, .slave = -1, .link = link};
    machine->seed = seed;
    machine->config.target = P_TARGET_LINUX;
    machine->config.two_channels = two_channels;
    memcpy(machine->config.hash, HASH, sizeof HASH);
    machine->contacts = two_channels ? P_CONTACT_A | P_CONTACT_B : P_CONTACT_A;
    machine->origin_us = clock_us() - (uint64_t)uptime_ms * 1000;
    line_init(&machine->line, &machine->port, seed);
    machine_reset(machine, P_RESET_POWER);
}

static void measure(struct machine *machine)
{
    if (machine->opened_us != 0 && !machine->output && machine->core.state != P_STATE_RUN) {
        machine->latency_us = clock_us() - machine->opened_us;
        machine->opened_us = 0;
    }
}

static void run_loop(struct machine *machine)
{
    struct core *core = &machine->core;
    uint32_t now = now_ms(machine);
    uint8_t bytes[MACHINE_STEP_BYTES];
    uint8_t frame[P_MAX_FRAME];
    size_t count = 0;

    core_contacts(core, machine->contacts, now);
    core_read_back(core, machine->output || machine->read_back_stuck, now);
    count = line_read(&machine->line, bytes, sizeof bytes);
    core_receive(core, bytes, count, now);
    core_tick(core, now);
    machine->output = core_output(core);
    measure(machine);
    if (core_is_fresh(core)) {
        machine->fed_us = clock_us();
    }
    while ((count = core_send(core, frame, now)) > 0) {
        line_send(&machine->line, frame, count, clock_us());
    }
}

void machine_step(struct machine *machine)
{
    uint64_t now_us = clock_us();

    if (now_us - machine->fed_us > P_WATCHDOG_MS * 1000u) {
        machine_reset(machine, P_RESET_WATCHDOG);
    }
    if (!machine_is_frozen(machine)) {
        run_loop(machine);
    }
    line_tick(&machine->line, now_us);
}

void machine_set_contacts(struct machine *machine, uint8_t contacts)
{
    bool opened = (machine->contacts & ~contacts & machine->core.kill.channels) != 0;

    machine->contacts = contacts & machine->core.kill.channels;
    if (opened) {
        machine->opened_us = machine->output ? clock_us() : 0;
        machine->output = false;
        core_opened(&machine->core);
    }
    machine_step(machine);
}

void machine_freeze(struct machine *machine, int64_t milliseconds)
{
    if (milliseconds == MACHINE_FOREVER) {
        machine->frozen_until_us = UINT64_MAX;
    } else {
        machine->frozen_until_us = clock_us() + (uint64_t)milliseconds * 1000u;
    }
}

void machine_jump(struct machine *machine, uint32_t left_ms)
{
    machine->origin_us = clock_us() - (uint64_t)(0u - left_ms) * 1000u;
}

bool machine_is_frozen(const struct machine *machine)
{
    return clock_us() < machine->frozen_until_us;
}
