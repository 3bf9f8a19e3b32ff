/* Implements noise.h. */
#include "noise.h"

#include "age.h"

void noise_init(struct noise *noise)
{
    noise->next = 0;
    noise_advance(noise, UINT32_MAX);
}

void noise_advance(struct noise *noise, uint32_t elapsed_ms)
{
    for (unsigned index = 0; index < NOISE_KEPT; index++) {
        noise->age_ms[index] = age_grown(noise->age_ms[index], elapsed_ms);
    }
}

void noise_add(struct noise *noise)
{
    noise->age_ms[noise->next] = 0;
    noise->next = (uint8_t)((noise->next + 1) % NOISE_KEPT);
}

bool noise_is_too_much(const struct noise *noise)
{
    return noise->age_ms[noise->next] < P_NOISE_WINDOW_MS;
}
