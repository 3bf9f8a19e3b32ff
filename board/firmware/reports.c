/* What the board tells the host: which message is due, most urgent first, and what stands in it. */
#include "firmware.h"

static size_t send(struct core *core, const struct message *message, uint8_t *out)
{
    return link_send(&core->link, message, core->now_ms, out);
}

static size_t send_welcome(struct core *core, uint8_t *out)
{
    struct message message = {
        .type = P_TYPE_WELCOME,
        .field = {core->host_nonce, 0, core->config.target, core->config.reset_cause, core->boot_id,
                  core->config.two_channels ? P_INTERLOCK_TWO : 0},
    };

    for (unsigned index = 0; index < P_HASH_SIZE; index++) {
        message.hash[index] = core->config.hash[index];
    }
    core->reports.welcome = false;
    core->reports.welcomed = true;
    core->reports.foreign = false;
    return send(core, &message, out);
}

static size_t send_trip(struct core *core, uint8_t *out)
{
    struct message message = {
        .type = P_TYPE_TRIP,
        .field = {core->trip.id, core->trip.cause, core->trip.at_ms},
    };

    core->reports.trip = false;
    core->reports.trip_ms = 0;
    return send(core, &message, out);
}

static size_t send_beat(struct core *core, uint8_t *out)
{
    uint32_t challenge = entropy_take(&core->entropy);
    struct message message = {
        .type = P_TYPE_BOARD_BEAT,
        .field = {challenge, core->host_challenged ? ~core->host_challenge : 0, core->state, core->kill.contacts,
                  core->faults, core->arm_nonce, core->trip.id, core->cause},
    };

    deadman_sent(&core->deadman, challenge);
    core->reports.changed = false;
    core->reports.beat_ms = 0;
    return send(core, &message, out);
}

static size_t send_faults(struct core *core, uint8_t *out)
{
    struct message message = {.type = P_TYPE_FAULTS, .field = {core->faults, core->faults_since_ms}};

    core->reports.faults = false;
    return send(core, &message, out);
}

static size_t send_counters(struct core *core, uint8_t *out)
{
    const struct link_counters *counters = &core->link.counters;
    struct message message = {
        .type = P_TYPE_COUNTERS,
        .field = {counters->good, counters->bad, counters->duplicate, counters->looped, counters->wrong_session,
                  counters->wrong_version, counters->overrun, core->uptime_s},
    };

    core->reports.counters_ms = 0;
    return send(core, &message, out);
}

static bool trip_is_due(const struct core *core)
{
    return !core->trip.acknowledged && (core->reports.trip || core->reports.trip_ms >= P_TRIP_MS);
}

size_t core_send(struct core *core, uint8_t out[P_MAX_FRAME], uint32_t now_ms)
{
    const struct reports *reports = &core->reports;

    core_advance(core, now_ms);
    if (core->link.session == 0) {
        return reports->foreign ? send_welcome(core, out) : 0;
    }
    if (!reports->welcomed) {
        return send_welcome(core, out);
    }
    if (trip_is_due(core)) {
        return send_trip(core, out);
    }
    if (reports->beat_ms >= P_BEAT_MS || (reports->changed && reports->beat_ms >= P_BEAT_GAP_MS)) {
        return send_beat(core, out);
    }
    if (reports->welcome) {
        return send_welcome(core, out);
    }
    if (reports->faults) {
        return send_faults(core, out);
    }
    return reports->counters_ms >= P_COUNTERS_MS ? send_counters(core, out) : 0;
}
