/* From reset to main: vectors, memory, and what a fault does. No policy lives here.
 *
 * Every exception that nobody expects takes one way: output off, then stand still until the watchdog resets. */
#include "machine.h"

extern uint32_t start_data[], start_data_end[], start_data_image[], start_bss[], start_bss_end[], start_stack[];

int main(void);
void start_reset(void);
void board_bitten(void);
void board_tick(void);
void board_contact_edge(void);
void board_link_rx(void);
void board_link_tx(void);
void board_control_rx(void);
void board_control_tx(void);

static void stand_still(void)
{
    machine_interrupts_off();
    FPGAIO_LED = 0;
    for (;;) {
    }
}

void start_reset(void)
{
    FPGAIO_LED = 0; /* before anything else: de-energised */
    for (uint32_t *to = start_data, *from = start_data_image; to != start_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = start_bss; to != start_bss_end;) {
        *to++ = 0;
    }
    (void)main();
    stand_still();
}

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const vector vectors[16 + IRQ_COUNT] = {
    (vector)(uintptr_t)start_stack,
    start_reset,
    board_bitten,             /* NMI: the watchdog's first zero */
    [3 ... 14] = stand_still, /* every fault, and calls nobody makes */
    [15] = board_tick,
    [16 ... 16 + IRQ_LINK_RX - 1] = stand_still,
    [16 + IRQ_LINK_RX] = board_link_rx,
    [16 + IRQ_LINK_TX] = board_link_tx,
    [16 + IRQ_CONTROL_RX] = board_control_rx,
    [16 + IRQ_CONTROL_TX] = board_control_tx,
    [16 + IRQ_CONTROL_TX + 1 ... 16 + IRQ_CONTACT - 1] = stand_still,
    [16 + IRQ_CONTACT] = board_contact_edge,
    [16 + IRQ_CONTACT + 1 ... 16 + IRQ_COUNT - 1] = stand_still,
};
