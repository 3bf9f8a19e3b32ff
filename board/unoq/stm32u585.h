/*
 * The registers that Arduino's core offers no function for: watchdog and reset cause of the STM32U585 (RM0456).
 *
 * The watchdog resets after (RLR + 1) * 4 / 32 kHz with PR = 0, counted by the LSI, an oscillator of its own that
 * nothing stops. P_WATCHDOG_MS = 250 makes RLR = 250 * 32 / 4 - 1 = 1999; until the first feed its reset value holds,
 * 4096 * 4 / 32 kHz = 512 ms.
 */
#ifndef PLIMSOLL_STM32U585_H
#define PLIMSOLL_STM32U585_H

#include <stdint.h>

#include "../protocol.h"

#ifndef UNOQ_REGISTER /* a test puts its own here */
#define UNOQ_REGISTER(address) (*reinterpret_cast<volatile uint32_t *>(address))
#endif

#define IWDG_KR UNOQ_REGISTER(0x40003000u)
#define IWDG_PR UNOQ_REGISTER(0x40003004u)
#define IWDG_RLR UNOQ_REGISTER(0x40003008u)
#define RCC_CSR UNOQ_REGISTER(0x46020CF4u)

constexpr uint32_t IWDG_START = 0xCCCC, IWDG_UNLOCK = 0x5555, IWDG_FEED = 0xAAAA, IWDG_BY_4 = 0;
constexpr uint32_t IWDG_COUNT = P_WATCHDOG_MS * 32u / 4u - 1u;
static_assert(IWDG_COUNT <= 0xFFF && P_WATCHDOG_MS <= 500, "RLR has 12 bits, and no time-out exceeds 500 ms");
constexpr uint32_t CSR_CLEAR = 1u << 23, CSR_PIN = 1u << 26, CSR_POWER = 1u << 27;
constexpr uint32_t CSR_SOFTWARE = 1u << 28, CSR_WATCHDOG = 1u << 29;

/* Why the last reset came. Asked once: the flags are cleared for the next. Every reset sets the pin's flag too. */
inline uint8_t reset_cause()
{
    const uint32_t flags = RCC_CSR;

    RCC_CSR = flags | CSR_CLEAR;
    return (flags & CSR_WATCHDOG) != 0   ? P_RESET_WATCHDOG
           : (flags & CSR_SOFTWARE) != 0 ? P_RESET_SOFTWARE
           : (flags & CSR_POWER) != 0    ? P_RESET_POWER
           : (flags & CSR_PIN) != 0      ? P_RESET_PIN
                                         : P_RESET_UNKNOWN;
}

inline void start_watchdog()
{
    IWDG_KR = IWDG_START;
    IWDG_KR = IWDG_UNLOCK;
    IWDG_PR = IWDG_BY_4;
    IWDG_RLR = IWDG_COUNT;
}

inline void feed_watchdog()
{
    IWDG_KR = IWDG_FEED;
}

#endif
