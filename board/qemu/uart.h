/* A CMSDK UART with a ring each way. When the receive ring is full its interrupt is masked and the byte stays in
 * the UART, which holds the sender back (on silicon: RTS); nothing is overwritten. */
#ifndef PLIMSOLL_QEMU_UART_H
#define PLIMSOLL_QEMU_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_RING 1024u /* bytes, a power of two: eight frames of 128, or one answer of the control port */

struct uart {
    uint32_t base;
    uint32_t rx_irq;
    bool masked;                       /* the receive ring was full */
    volatile uint16_t rx_in, rx_out;   /* free-running; the difference is what is held */
    volatile uint16_t tx_in, tx_out;
    uint8_t rx[UART_RING], tx[UART_RING];
};

/* Starts `uart` at `base`, whose receive interrupt is `rx_irq` and its transmit interrupt the next one. */
void uart_start(struct uart *uart, uint32_t base, uint32_t rx_irq, uint8_t priority);

/* From the interrupts. */
void uart_on_rx(struct uart *uart);
void uart_on_tx(struct uart *uart);

/* Takes one byte; false when there is none. */
bool uart_take(struct uart *uart, uint8_t *byte);

/* How many bytes `uart_send` takes now. */
size_t uart_room(const struct uart *uart);

/* Sends all of `bytes` or, without room for all, nothing. */
bool uart_send(struct uart *uart, const uint8_t *bytes, size_t size);

#endif
