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

void output_want(struct output *output, bool energised)
{
    if (output->wanted != energised) { /* it may take its time anew, and only a sample can say that it did not */
        output->wanted = energised;
        output->differs = false;
        output->differing_ms = 0;
    }
}

void output_sample(struct output *output, bool energised)
{
    bool differs = energised != output->wanted;

    if (!differs || !output->differs) {
        output->differing_ms = 0;
    }
    output->differs = differs;
    output->unsampled_ms = 0;
}

bool output_is_stuck(const struct output *output)
{
    return output->differs && output->differing_ms > P_READBACK_MS;
}
