/* Implements kill.h. The one field that an interrupt writes is volatile and only ever set there. */
#include "kill.h"

#include "age.h"

void kill_init(struct kill *kill, bool two_channels)
{
    *kill = (struct kill){.channels = two_channels ? P_CONTACT_A | P_CONTACT_B : P_CONTACT_A};
}

static bool is_closed(const struct kill *kill)
{
    return kill->contacts == kill->channels;
}

static bool differs(const struct kill *kill)
{
    return kill->contacts != 0 && !is_closed(kill);
}

void kill_advance(struct kill *kill, uint32_t elapsed_ms)
{
    kill->unsampled_ms = age_grown(kill->unsampled_ms, elapsed_ms);
    if (differs(kill)) {
        kill->differing_ms = age_grown(kill->differing_ms, elapsed_ms);
    }
}

/* A gap between samples counts as closed for P_FRESH_MS at most: time when nobody looked is not time closed. */
static uint16_t looked_at_ms(const struct kill *kill)
{
    return kill->unsampled_ms < P_FRESH_MS ? kill->unsampled_ms : P_FRESH_MS;
}

bool kill_sample(struct kill *kill, uint8_t contacts)
{
    bool was_closed = is_closed(kill);
    bool was_differing = differs(kill);
    bool opened = kill->opened;

    if (opened) { /* an opening between this test and the clearing belongs to the one that is reported now */
        kill->opened = false;
    }
    kill->contacts = contacts & kill->channels;
    opened = opened || !is_closed(kill);
    kill->closed_ms = opened || !was_closed ? 0 : age_grown(kill->closed_ms, looked_at_ms(kill));
    if (!was_differing) {
        kill->differing_ms = 0;
    }
    kill->unsampled_ms = 0;
    return opened && was_closed;
}

bool kill_is_released(const struct kill *kill)
{
    return !kill->opened && is_closed(kill) && kill->closed_ms >= P_RELEASE_MS;
}

bool kill_is_contradictory(const struct kill *kill)
{
    return differs(kill) && kill->differing_ms > P_DISCREPANCY_MS;
}

bool kill_is_fully_open(const struct kill *kill)
{
    return kill->contacts == 0;
}
