/* The registers of QEMU's mps2-an505 that the board uses, and nothing else: a Cortex-M33 in its secure state at
 * 20 MHz, with ARM's CMSDK peripherals. Addresses are the secure aliases of the AN505 image's memory map. */
#ifndef PLIMSOLL_QEMU_MACHINE_H
#define PLIMSOLL_QEMU_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define CLOCK_HZ 20000000u /* the AN505's system clock, which SysTick, UARTs and watchdog count */

/* Core peripherals (ARMv8-M Architecture Reference Manual, B11 and D1) */
#define SYSTICK_CTRL REGISTER(0xE000E010u)
#define SYSTICK_LOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define SYSTICK_ON 7u /* count the core's clock, interrupt at zero, enabled */
#define NVIC_ENABLE(irq) REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_DISABLE(irq) REGISTER(0xE000E180u + 4u * ((irq) / 32u))
#define NVIC_PEND(irq) REGISTER(0xE000E200u + 4u * ((irq) / 32u))
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(uintptr_t)(0xE000E400u + (irq)))
#define NVIC_BIT(irq) (1u << ((irq) % 32u))
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define AIRCR_RESET 0x05FA0004u /* the key and SYSRESETREQ */
#define SCB_SYSTICK_PRIORITY (*(volatile uint8_t *)(uintptr_t)0xE000ED23u)

/* CMSDK UART (DDI 0479, 4.3): one byte of buffer each way */
#define UART_LINK 0x50200000u
#define UART_CONTROL 0x50201000u
#define UART_DATA(base) REGISTER((base) + 0x0u)
#define UART_STATE(base) REGISTER((base) + 0x4u)
#define UART_CTRL(base) REGISTER((base) + 0x8u)
#define UART_INTERRUPT(base) REGISTER((base) + 0xCu)
#define UART_DIVIDER(base) REGISTER((base) + 0x10u)
#define UART_TX_FULL 1u
#define UART_RX_FULL 2u
#define UART_TX_ON 1u
#define UART_RX_ON 2u
#define UART_TX_INTERRUPT 4u /* in CTRL: enabled */
#define UART_RX_INTERRUPT 8u
#define UART_TX_DONE 1u /* in INTERRUPT: write 1 to clear */
#define UART_RX_DONE 2u

#define IRQ_LINK_RX 32u
#define IRQ_LINK_TX 33u
#define IRQ_CONTROL_RX 34u
#define IRQ_CONTROL_TX 35u
#define IRQ_CONTACT 60u /* no device is wired to it: the stand-in for the contact pin's edge, pended by software */
#define IRQ_COUNT 64u

/* FPGAIO (AN505, 4.4): LED 0 is the output stage, a real register that reads back; a microsecond counter */
#define FPGAIO_LED REGISTER(0x50302000u)
#define FPGAIO_COUNTER REGISTER(0x50302018u)
#define FPGAIO_PRESCALE REGISTER(0x5030201Cu)
#define OUTPUT_BIT 1u

/* CMSDK watchdog of the secure side: at its first zero it asks for the NMI, at its second it resets the machine */
#define WATCHDOG_LOAD REGISTER(0x50081000u)
#define WATCHDOG_CONTROL REGISTER(0x50081008u)
#define WATCHDOG_CLEAR REGISTER(0x5008100Cu)
#define WATCHDOG_LOCK REGISTER(0x50081C00u)
#define WATCHDOG_KEY 0x1ACCE551u
#define WATCHDOG_ON 3u /* interrupt and reset */

static inline void machine_interrupts_off(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
}

static inline void machine_interrupts_on(void)
{
    __asm__ volatile("cpsie i" ::: "memory");
}

/* Not WFI: while the core sleeps QEMU's clock follows the host's, and jumps when the host is busy; awake it counts
 * instructions. */
static inline void machine_wait(void)
{
    __asm__ volatile("nop" ::: "memory");
}

static inline void machine_enable(uint32_t irq, uint8_t priority)
{
    NVIC_PRIORITY(irq) = priority;
    NVIC_ENABLE(irq) = NVIC_BIT(irq);
}

#endif
