/* Implements output.h. */
#include "output.h"

#include "../protocol.h"
#include "age.h"

void output_advance(struct output *output, uint32_t elapsed_ms)
{
    output->unsampled_ms = age_grown(output->unsampled_ms, elapsed_ms);
    if (output->differs) {
        output->differing_ms = age_grown(output->differing_ms, elapsed_ms);
    }
}

void output_sample(struct output *output, bool wanted, bool energised)
{
    bool differs = energised != wanted;

    if (!differs || !output->differs || wanted != output->wanted) {
        output->differing_ms = 0;
    }
    output->wanted = wanted;
    output->differs = differs;
    output->unsampled_ms = 0;
}

bool output_is_stuck(const struct output *output)
{
    return output->differs && output->differing_ms > P_READBACK_MS;
}
