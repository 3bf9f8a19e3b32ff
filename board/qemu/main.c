/*
 * The board on QEMU's mps2-an505: the firmware's loop and interrupts, as on silicon, over this machine's registers.
 *
 * The contact takes two ways to the output, neither through the loop: its own interrupt, and SysTick's poll every
 * millisecond should the interrupt be stuck. Both switch off and note the opening; the loop then latches it.
 */
#include "../firmware/firmware.h"
#include "control.h"
#include "machine.h"
#include "uart.h"

enum { PRIORITY_CONTACT = 0x00, PRIORITY_UART = 0x80 }; /* SysTick shares the contact's: neither waits for the other */
enum { CHUNK = 64 }; /* bytes taken from the link in a turn, a millisecond: five times what the line brings */

#define KEPT_MAGIC 0x504C494Du /* power-on leaves anything else, or the same once in four billion times */

/* What a reset leaves. */
static struct {
    uint32_t magic;
    uint32_t reset_cause; /* of the reset to come; 0 if nobody announces it */
    uint32_t boots;
    uint32_t seed[CONTROL_SEED];
} kept __attribute__((section(".kept")));

static volatile uint32_t now_ms;
static struct core core;
static struct uart link_uart, control_uart;
static struct bench bench = {.contacts = P_CONTACT_A | P_CONTACT_B, .edges = true};

static void output_off(void)
{
    if ((FPGAIO_LED & OUTPUT_BIT) != 0u) {
        bench.dark_us = FPGAIO_COUNTER;
    }
    FPGAIO_LED = 0;
    if (bench.awaits_off) {
        bench.off_us = FPGAIO_COUNTER;
        bench.awaits_off = false;
    }
}

static void check_contacts(void)
{
    if (bench.contacts != (P_CONTACT_A | P_CONTACT_B)) {
        output_off();
        core_opened(&core);
    }
}

void board_contact_edge(void)
{
    check_contacts();
}

void board_tick(void)
{
    now_ms++;
    check_contacts();
}

/* The NMI of the watchdog: the reset follows one period later. */
void board_bitten(void)
{
    machine_interrupts_off();
    FPGAIO_LED = 0;
    kept.reset_cause = P_RESET_WATCHDOG;
    for (;;) {
    }
}

void board_link_rx(void)
{
    uart_on_rx(&link_uart);
}

void board_link_tx(void)
{
    uart_on_tx(&link_uart);
}

void board_control_rx(void)
{
    control_on_rx(&control_uart, &bench);
}

void board_control_tx(void)
{
    uart_on_tx(&control_uart);
}

static void write_output(void)
{
    machine_interrupts_off(); /* or an opening between question and answer would be overwritten */
    if (core_output(&core)) {
        FPGAIO_LED = OUTPUT_BIT;
    } else {
        output_off();
    }
    if (bench.awaits_latch && core.state != P_STATE_RUN) {
        bench.latched_us = FPGAIO_COUNTER;
        bench.awaits_latch = false;
    }
    machine_interrupts_on();
}

static bool read_output(void)
{
    return bench.stuck || (FPGAIO_LED & OUTPUT_BIT) != 0u;
}

static void receive(void)
{
    uint8_t chunk[CHUNK];
    size_t size = 0;

    while (size < CHUNK && uart_take(&link_uart, &chunk[size])) {
        size++;
    }
    core_receive(&core, chunk, size, now_ms);
    if (core.deadman.silent_ms == 0) {
        bench.heard_us = FPGAIO_COUNTER;
    }
}

static void send(void)
{
    uint8_t frame[P_MAX_FRAME];
    size_t size;

    while (uart_room(&link_uart) >= P_MAX_FRAME && (size = core_send(&core, frame, now_ms)) > 0) {
        (void)uart_send(&link_uart, frame, size);
    }
}

static void turn(void)
{
    core_contacts(&core, bench.contacts, now_ms);
    core_read_back(&core, read_output(), now_ms);
    receive();
    core_tick(&core, now_ms);
    write_output();
    if (core_is_fresh(&core)) {
        WATCHDOG_CLEAR = 1;
    }
    send();
}

/* At the bench: the loop stands still, for a while or for good. */
static void freeze(void)
{
    uint32_t from = now_ms;

    while (bench.frozen_ms == 0 || now_ms - from < bench.frozen_ms) {
        machine_wait();
    }
    bench.frozen = false;
}

static void reboot(void)
{
    kept.reset_cause = P_RESET_SOFTWARE;
    while (control_uart.tx_in != control_uart.tx_out) {
        machine_wait();
    }
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

static void obey(void)
{
    control_turn(&control_uart, &bench, &core);
    if (bench.frozen) {
        freeze();
    }
    if (bench.jump_ms != 0u) {
        now_ms = 0u - bench.jump_ms;
        bench.jump_ms = 0;
    }
    if (bench.reboot) {
        reboot();
    }
}

/* One turn a millisecond, whatever else interrupts: what is measured is the slowest loop that the firmware allows. */
static void wait_for_tick(void)
{
    static uint32_t turned_ms;

    while (now_ms == turned_ms) {
        machine_wait();
    }
    turned_ms = now_ms;
}

static void start_machine(void)
{
    SYSTICK_LOAD = CLOCK_HZ / 1000u - 1u;
    SYSTICK_VALUE = 0;
    SYSTICK_CTRL = SYSTICK_ON;
    SCB_SYSTICK_PRIORITY = PRIORITY_CONTACT;
    FPGAIO_PRESCALE = CLOCK_HZ / 1000000u - 1u;
    FPGAIO_COUNTER = 0;
    machine_enable(IRQ_CONTACT, PRIORITY_CONTACT);
    uart_start(&control_uart, UART_CONTROL, IRQ_CONTROL_RX, PRIORITY_UART);
}

/* The machine has no source of entropy: after power-on one is asked for, and a reset goes on from what it left. */
static uint8_t gather(void)
{
    uint8_t cause = kept.reset_cause == P_RESET_UNKNOWN ? P_RESET_PIN : (uint8_t)kept.reset_cause;

    if (kept.magic != KEPT_MAGIC) {
        cause = P_RESET_POWER;
        kept.boots = 0;
        while (!bench.seeded) {
            machine_wait();
            control_turn(&control_uart, &bench, &core);
        }
        for (uint32_t index = 0; index < CONTROL_SEED; index++) {
            kept.seed[index] = bench.seed[index];
        }
        kept.magic = KEPT_MAGIC;
    }
    kept.reset_cause = P_RESET_UNKNOWN;
    kept.boots++;
    bench.boots = kept.boots;
    return cause;
}

/* Its first zero comes after half of P_WATCHDOG_MS, the reset after all of it. */
static void start_watchdog(void)
{
    WATCHDOG_LOCK = WATCHDOG_KEY;
    WATCHDOG_LOAD = P_WATCHDOG_MS / 2u * (CLOCK_HZ / 1000u);
    WATCHDOG_CONTROL = WATCHDOG_ON;
}

int main(void)
{
    struct core_config config = {.target = P_TARGET_QEMU, .two_channels = true, .hash = {P_FIRMWARE_HASH}};

    start_machine();
    config.reset_cause = gather();
    for (uint32_t index = 0; index < CONTROL_SEED; index++) {
        config.entropy[index] = kept.seed[index] + kept.boots;
    }
    core_init(&core, &config, now_ms);
    start_watchdog();
    uart_start(&link_uart, UART_LINK, IRQ_LINK_RX, PRIORITY_UART);
    for (;;) {
        turn();
        obey();
        wait_for_tick();
    }
}
