/* Implements deadman.h. */
#include "deadman.h"

#include "age.h"

bool deadman_advance(struct deadman *deadman, uint32_t elapsed_ms)
{
    for (unsigned index = 0; index < P_CHALLENGES; index++) {
        deadman->sent[index].age_ms = age_grown(deadman->sent[index].age_ms, elapsed_ms);
    }
    deadman->silent_ms = age_grown(deadman->silent_ms, elapsed_ms);
    if (!deadman->live || deadman->silent_ms < P_BOARD_SILENCE_MS) {
        return false;
    }
    deadman->live = false;
    return true;
}

void deadman_sent(struct deadman *deadman, uint32_t challenge)
{
    deadman->sent[deadman->next] = (struct challenge){.number = challenge};
    deadman->next = (uint8_t)((deadman->next + 1) % P_CHALLENGES);
}

/* Forget a challenge and all that were sent before it. */
static void spend(struct deadman *deadman, unsigned answered)
{
    unsigned at = deadman->next;

    while (at != answered) {
        deadman->sent[at].number = 0;
        at = (at + 1) % P_CHALLENGES;
    }
    deadman->sent[answered].number = 0;
}

bool deadman_answered(struct deadman *deadman, uint32_t answer)
{
    for (unsigned index = 0; index < P_CHALLENGES; index++) {
        const struct challenge *sent = &deadman->sent[index];

        if (sent->number != 0 && sent->number == ~answer && sent->age_ms <= P_BOARD_SILENCE_MS) {
            spend(deadman, index);
            deadman->silent_ms = 0;
            deadman->live = true;
            return true;
        }
    }
    return false;
}
