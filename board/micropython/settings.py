"""The pins and the port of one board: edit a copy for yours. Names or numbers as ``machine.Pin`` takes them.

The defaults are for a Raspberry Pi Pico. A contact is wired from its pin to ground, normally closed; the
pin's pull-up makes an open contact or a broken wire read high.
"""

CONTACT_A = 14
CONTACT_B = 15  # None on a board with one channel
OUTPUT = 16  # high = energised
READ_BACK = 17  # follows the output from behind the driver; None trusts the pin itself
BOARD_LED = (18, 19, 20)  # red, green, blue; None for a colour that is not there
HOST_LED = (None, None, None)
LED_ON = 1  # level that lights an LED
UART = 0  # not the port of the REPL
UART_PINS = (0, 1)  # TX, RX; None for the port's own
BAUD = 115200
WATCHDOG_MS = 250  # as soon as the deadman would trip; None where there is no watchdog
