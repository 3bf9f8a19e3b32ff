/* Ties the parts together: inputs become events, events become states. What is sent is in reports.c. */
#include "firmware.h"

#include "age.h"

enum { BLOCKING_FAULTS = P_FAULT_DISCREPANCY | P_FAULT_READBACK | P_FAULT_STARVED };

static uint16_t next_trip_id(uint16_t id)
{
    return id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
}

/* A contact that bounces while its trip awaits the ACK is still the same opening. */
static bool is_known(const struct core *core, uint8_t cause)
{
    return cause == P_CAUSE_SWITCH && core->trip.cause == cause && !core->trip.acknowledged;
}

static void record_trip(struct core *core, uint8_t cause)
{
    core->cause = cause;
    if (cause == P_CAUSE_HOST || is_known(core, cause)) {
        return;
    }
    core->trip.id = next_trip_id(core->trip.id);
    core->trip.cause = cause;
    core->trip.at_ms = core->now_ms;
    core->trip.acknowledged = false;
    core->reports.trip = true;
}

static void enter(struct core *core, uint8_t state)
{
    if (state != core->state) {
        core->arm_nonce = state == P_STATE_READY ? entropy_take(&core->entropy) : 0;
    }
    core->state = state;
    core->reports.changed = true;
}

static void happen(struct core *core, enum event event)
{
    uint8_t next = state_after(core->state, event);
    uint8_t cause = cause_of(event);

    if (next == STAY) {
        core->ignored++;
        return;
    }
    if (cause != P_CAUSE_NONE) {
        record_trip(core, cause);
    }
    enter(core, next);
}

static void set_faults(struct core *core, uint16_t faults)
{
    uint16_t begun = faults & (uint16_t)~core->faults;

    if (faults == core->faults) {
        return;
    }
    core->faults = faults;
    core->faults_since_ms = core->now_ms;
    core->reports.faults = true;
    core->reports.changed = true;
    if ((begun & (P_FAULT_DISCREPANCY | P_FAULT_READBACK)) != 0) {
        happen(core, EVENT_FAULT);
    }
}

void core_init(struct core *core, const struct core_config *config, uint32_t now_ms)
{
    *core = (struct core){.config = *config, .now_ms = now_ms, .state = P_STATE_TRIPPED};
    kill_init(&core->kill, config->two_channels);
    link_init(&core->link);
    for (unsigned index = 0; index < sizeof config->entropy / sizeof config->entropy[0]; index++) {
        entropy_stir(&core->entropy, config->entropy[index]);
    }
    core->boot_id = entropy_take(&core->entropy);
    core->faults = config->reset_cause == P_RESET_WATCHDOG ? P_FAULT_WATCHDOG : 0;
    core->faults_since_ms = now_ms;
    record_trip(core, P_CAUSE_BOOT);
}

static void count_uptime(struct core *core, uint32_t elapsed_ms)
{
    core->uptime_s += elapsed_ms / 1000;
    core->uptime_rest_ms += elapsed_ms % 1000;
    if (core->uptime_rest_ms >= 1000) {
        core->uptime_rest_ms -= 1000;
        core->uptime_s++;
    }
}

void core_advance(struct core *core, uint32_t now_ms)
{
    uint32_t elapsed_ms = now_ms - core->now_ms;

    if (elapsed_ms == 0) {
        return;
    }
    core->now_ms = now_ms;
    count_uptime(core, elapsed_ms);
    kill_advance(&core->kill, elapsed_ms);
    link_advance(&core->link, elapsed_ms);
    output_advance(&core->output, elapsed_ms);
    core->unpolled_ms = age_grown(core->unpolled_ms, elapsed_ms);
    core->reports.beat_ms = age_grown(core->reports.beat_ms, elapsed_ms);
    core->reports.trip_ms = age_grown(core->reports.trip_ms, elapsed_ms);
    core->reports.counters_ms = age_grown(core->reports.counters_ms, elapsed_ms);
    if (deadman_advance(&core->deadman, elapsed_ms)) {
        happen(core, EVENT_SILENT);
    }
}

void core_opened(struct core *core)
{
    core->kill.opened = true;
}

/* A discrepancy begins when the channels differ for too long, and ends when they were open together. */
static void judge_channels(struct core *core)
{
    if (kill_is_contradictory(&core->kill)) {
        set_faults(core, core->faults | P_FAULT_DISCREPANCY);
    }
    if ((core->faults & P_FAULT_DISCREPANCY) != 0 && kill_is_fully_open(&core->kill)) {
        set_faults(core, core->faults & (uint16_t)~P_FAULT_DISCREPANCY);
        if ((core->faults & P_FAULT_READBACK) == 0) {
            happen(core, EVENT_BOTH_OPEN);
        }
    }
}

void core_contacts(struct core *core, uint8_t contacts, uint32_t now_ms)
{
    uint8_t before = core->kill.contacts;

    core_advance(core, now_ms);
    if (kill_sample(&core->kill, contacts)) {
        happen(core, EVENT_OPEN);
    }
    if (core->kill.contacts != before) {
        core->reports.changed = true;
    }
    judge_channels(core);
}

void core_read_back(struct core *core, bool energised, uint32_t now_ms)
{
    core_advance(core, now_ms);
    output_sample(&core->output, core_output(core), energised);
    if (output_is_stuck(&core->output)) {
        set_faults(core, core->faults | P_FAULT_READBACK);
    }
}

static void begin_session(struct core *core, const struct message *hello)
{
    core->deadman = (struct deadman){0};
    core->request = (struct lights_request){0};
    core->host_challenged = false;
    core->host_nonce = hello->field[0];
    core->reports.welcome = true;
    core->reports.welcomed = false;
    core->reports.foreign = false;
    core->reports.trip = !core->trip.acknowledged;
    core->reports.changed = true;
    core->reports.faults = core->faults != 0;
    happen(core, EVENT_SESSION);
}

static void on_beat(struct core *core, const struct message *beat)
{
    core->host_challenge = beat->field[0];
    core->host_challenged = true;
    deadman_answered(&core->deadman, beat->field[1]);
}

static void on_ack(struct core *core, uint32_t trip_id)
{
    if (trip_id == core->trip.id) {
        core->trip.acknowledged = true;
    } else {
        core->ignored++;
    }
}

static void on_arm(struct core *core, uint32_t nonce)
{
    bool right = nonce != 0 && nonce == core->arm_nonce;

    if (right && core->deadman.live && kill_is_released(&core->kill) && (core->faults & BLOCKING_FAULTS) == 0) {
        happen(core, EVENT_ARM);
    } else {
        core->ignored++;
    }
}

static void on_message(struct core *core, const struct message *message)
{
    switch (message->type) {
    case P_TYPE_HELLO: /* of this session again: its WELCOME was lost */
        core->host_nonce = message->field[0];
        core->reports.welcome = true;
        break;
    case P_TYPE_HOST_BEAT:
        on_beat(core, message);
        break;
    case P_TYPE_ACK:
        on_ack(core, message->field[0]);
        break;
    case P_TYPE_ARM:
        on_arm(core, message->field[0]);
        break;
    case P_TYPE_STOP:
        happen(core, EVENT_STOP);
        break;
    default: /* LIGHTS, the only one left of those that link_receive lets pass */
        core->request = (struct lights_request){
            .given = true,
            .status = (uint8_t)message->field[0],
            .net = (int16_t)message->field[1],
            .pnl_usd = (int32_t)message->field[2],
        };
        break;
    }
}

static void on_verdict(struct core *core, enum link_verdict verdict, const struct message *message)
{
    switch (verdict) {
    case LINK_MESSAGE:
        on_message(core, message);
        break;
    case LINK_NEW_SESSION:
        begin_session(core, message);
        break;
    case LINK_WRONG_VERSION:
        core->reports.foreign = true;
        happen(core, EVENT_PROTOCOL);
        break;
    case LINK_WRONG_SESSION:
        happen(core, EVENT_PROTOCOL);
        break;
    case LINK_BAD:
        if (noise_is_too_much(&core->link.noise)) {
            happen(core, EVENT_NOISE);
        }
        break;
    case LINK_NOTHING:
    case LINK_DUPLICATE:
    case LINK_LOOPED:
    case LINK_LATE:
        break;
    }
}

void core_receive(struct core *core, const uint8_t *data, size_t size, uint32_t now_ms)
{
    struct message message = {0};

    core_advance(core, now_ms);
    core->unpolled_ms = 0;
    for (size_t at = 0; at < size; at++) {
        enum link_verdict verdict = link_receive(&core->link, data[at], &message);

        if (verdict != LINK_NOTHING) {
            entropy_stir(&core->entropy, now_ms ^ message.field[0]);
            on_verdict(core, verdict, &message);
        }
    }
}

static bool is_clear(const struct core *core)
{
    return kill_is_released(&core->kill) && core->deadman.live && core->trip.acknowledged &&
           (core->faults & BLOCKING_FAULTS) == 0 && !noise_is_too_much(&core->link.noise);
}

void core_tick(struct core *core, uint32_t now_ms)
{
    core_advance(core, now_ms);
    if (core_is_fresh(core)) {
        set_faults(core, core->faults & (uint16_t)~P_FAULT_STARVED);
    } else {
        set_faults(core, core->faults | P_FAULT_STARVED);
    }
    if (core->state == P_STATE_TRIPPED && is_clear(core)) {
        happen(core, EVENT_CLEAR);
    }
}

void core_overrun(struct core *core, uint32_t count)
{
    core->link.counters.overrun += count;
}

void core_stir(struct core *core, uint32_t more)
{
    entropy_stir(&core->entropy, more);
}

bool core_output(const struct core *core)
{
    return core->state == P_STATE_RUN && !core->kill.opened;
}

bool core_is_fresh(const struct core *core)
{
    return core->kill.unsampled_ms <= P_FRESH_MS && core->output.unsampled_ms <= P_FRESH_MS &&
           core->unpolled_ms <= P_FRESH_MS;
}

void core_show(const struct core *core, struct lights *lights)
{
    core_lights(core->state, core->faults, core->kill.contacts, core->deadman.live, &core->request, core->now_ms,
                lights);
}
