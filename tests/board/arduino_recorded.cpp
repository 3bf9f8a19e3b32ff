/*
 * A UNO Q that writes down what its firmware does: definitions of what arduino_declared.h declares, for a test that
 * loads this with hw_unoq.cpp as a library. Pins, time and bytes are the test's; nothing is judged here.
 */
#include "arduino_declared.h"

#include <string.h>

void board_setup();
void board_loop();

namespace {

constexpr size_t RECORDS = 4096, BYTES = 4096;
struct Record {
    char what;
    uint32_t where, value;
} record[RECORDS];
size_t recorded;
PinStatus level[256], output[256];
voidFuncPtr handler[256];
uint32_t now_ms, reset_flags, ticks;
uint8_t received[BYTES], sent[BYTES], pixels[104];
size_t received_size, received_taken, sent_size;
int room = 64;

void note(char what, uint32_t where, uint32_t value)
{
    if (recorded < RECORDS) {
        record[recorded++] = {what, where, value};
    }
}

}  // namespace

extern "C" {
void pinMode(pin_size_t pin, PinMode mode) { note('m', pin, mode); }
void digitalWrite(pin_size_t pin, PinStatus value)
{
    note('w', pin, value);
    output[pin] = value;
}
PinStatus digitalRead(pin_size_t pin) { return level[pin]; }
int analogRead(pin_size_t pin)
{
    note('a', pin, 0);
    return static_cast<int>(ticks * 7919u % 5u);
}
unsigned long millis(void) { return now_ms; }
unsigned long micros(void) { return ++ticks; }
void attachInterrupt(pin_size_t interrupt, voidFuncPtr callback, PinStatus mode)
{
    note('i', interrupt, mode);
    handler[interrupt] = callback;
}
void interrupts(void) { note('e', 1, 0); }
void noInterrupts(void) { note('e', 0, 0); }

/* For the test. */
void unoq_setup() { board_setup(); }
void unoq_loop() { board_loop(); }
size_t unoq_records(Record *out)
{
    memcpy(out, record, recorded * sizeof record[0]);
    const size_t count = recorded;
    recorded = 0;
    return count;
}
void unoq_pin(uint8_t pin, int value) { level[pin] = value != 0 ? HIGH : LOW; }
int unoq_output(uint8_t pin) { return output[pin]; }
void unoq_interrupt(uint8_t pin)
{
    if (handler[pin] != nullptr) {
        handler[pin]();
    }
}
void unoq_time(uint32_t milliseconds) { now_ms = milliseconds; }
void unoq_reset_flags(uint32_t flags) { reset_flags = flags; }
void unoq_room(int bytes) { room = bytes; }
void unoq_receive(const uint8_t *data, size_t size)
{
    memcpy(received + received_size, data, size);
    received_size += size;
}
size_t unoq_sent(uint8_t *out)
{
    memcpy(out, sent, sent_size);
    const size_t size = sent_size;
    sent_size = 0;
    return size;
}
void unoq_pixels(uint8_t *out) { memcpy(out, pixels, sizeof pixels); }
}

int digitalPinToInterrupt(pin_size_t pin) { return pin; }

arduino::ZephyrSerial Serial2;

namespace arduino {
void ZephyrSerial::begin(unsigned long baud) { note('s', 0, static_cast<uint32_t>(baud)); }
int ZephyrSerial::available() { return static_cast<int>(received_size - received_taken); }
int ZephyrSerial::availableForWrite() { return room; }
int ZephyrSerial::read()
{
    if (received_taken == received_size) {
        return -1;
    }
    const int byte = received[received_taken++];
    if (received_taken == received_size) {
        received_taken = received_size = 0;
    }
    return byte;
}
size_t ZephyrSerial::write(const uint8_t *buffer, size_t size)
{
    note('u', 0, static_cast<uint32_t>(size));
    memcpy(sent + sent_size, buffer, size);
    sent_size += size;
    return size;
}
}  // namespace arduino

int Arduino_LED_Matrix::begin()
{
    note('b', 0, 0);
    return 1;
}
void Arduino_LED_Matrix::setGrayscaleBits(uint8_t bits) { note('g', 0, bits); }
void Arduino_LED_Matrix::draw(uint8_t *buffer)
{
    note('d', 0, 0);
    memcpy(pixels, buffer, sizeof pixels);
}

void Register::operator=(uint32_t value) const { note('r', address, value); }
Register::operator uint32_t() const
{
    note('q', address, 0);
    return reset_flags;
}
