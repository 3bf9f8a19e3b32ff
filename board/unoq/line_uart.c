/*
 * The service owns the port: the UART carries frames and nothing else.
 */
#include <string.h>

#include "line.h"

const uint8_t line_target = P_TARGET_UNOQ;

size_t line_unwrap(uint8_t *bytes, size_t size, uint32_t now_ms)
{
    (void)bytes;
    (void)now_ms;
    return size;
}

size_t line_wrap(uint8_t out[LINE_MESSAGE], const uint8_t *frame, size_t size, uint32_t now_ms)
{
    (void)now_ms;
    memcpy(out, frame, size);
    return size;
}
