/* The CMSDK UARTs: rings between interrupts and the loop. */
#include "uart.h"

#include "machine.h"

#define BAUD 115200u

void uart_start(struct uart *uart, uint32_t base, uint32_t rx_irq, uint8_t priority)
{
    uart->base = base;
    uart->rx_irq = rx_irq;
    UART_DIVIDER(base) = (CLOCK_HZ + BAUD / 2u) / BAUD;
    UART_CTRL(base) = UART_TX_ON | UART_RX_ON | UART_TX_INTERRUPT | UART_RX_INTERRUPT;
    machine_enable(rx_irq, priority);
    machine_enable(rx_irq + 1u, priority);
}

void uart_on_rx(struct uart *uart)
{
    UART_INTERRUPT(uart->base) = UART_RX_DONE;
    while ((UART_STATE(uart->base) & UART_RX_FULL) != 0u) {
        if ((uint16_t)(uart->rx_in - uart->rx_out) == UART_RING) {
            uart->masked = true;
            UART_CTRL(uart->base) &= ~UART_RX_INTERRUPT;
            return;
        }
        uart->rx[uart->rx_in % UART_RING] = (uint8_t)UART_DATA(uart->base);
        uart->rx_in++;
    }
}

/* A byte that came while the interrupt was masked raised none: the handler is called by hand. */
static void unmask(struct uart *uart)
{
    machine_interrupts_off();
    uart->masked = false;
    UART_CTRL(uart->base) |= UART_RX_INTERRUPT;
    NVIC_PEND(uart->rx_irq) = NVIC_BIT(uart->rx_irq);
    machine_interrupts_on();
}

bool uart_take(struct uart *uart, uint8_t *byte)
{
    if (uart->rx_in == uart->rx_out) {
        return false;
    }
    *byte = uart->rx[uart->rx_out % UART_RING];
    uart->rx_out++;
    if (uart->masked) {
        unmask(uart);
    }
    return true;
}

static void push(struct uart *uart)
{
    while (uart->tx_in != uart->tx_out && (UART_STATE(uart->base) & UART_TX_FULL) == 0u) {
        UART_DATA(uart->base) = uart->tx[uart->tx_out % UART_RING];
        uart->tx_out++;
    }
}

void uart_on_tx(struct uart *uart)
{
    UART_INTERRUPT(uart->base) = UART_TX_DONE;
    push(uart);
}

size_t uart_room(const struct uart *uart)
{
    return UART_RING - (uint16_t)(uart->tx_in - uart->tx_out);
}

bool uart_send(struct uart *uart, const uint8_t *bytes, size_t size)
{
    if (uart_room(uart) < size) {
        return false;
    }
    machine_interrupts_off();
    for (size_t index = 0; index < size; index++) {
        uart->tx[uart->tx_in % UART_RING] = bytes[index];
        uart->tx_in++;
    }
    push(uart);
    machine_interrupts_on();
    return true;
}
