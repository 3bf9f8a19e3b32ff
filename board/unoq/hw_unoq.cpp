/*
 * The board on the Arduino UNO Q: pins, LEDs and UART under Arduino's core on Zephyr.
 *
 * The kill input is armed before anything else. An opening switches the output off in the pins' interrupt, without
 * Linux, router or loop; the loop polls the same pins at least every millisecond and feeds the watchdog.
 */
#include <Arduino.h>
#include <Arduino_LED_Matrix.h>

extern "C" {
#include "../firmware/firmware.h"
#include "line.h"
}
#include "firmware_hash.h"
#include "stm32u585.h"
#ifndef ARDUINO_ROUTER_SERIAL /* cores before 0.55 */
#define ARDUINO_ROUTER_SERIAL Serial1
#endif

namespace {

/* D2 = PB3 and D8 = PB4: EXTI lines belong to pin numbers, whatever the port, so the two channels share none. */
constexpr pin_size_t CONTACT[2] = {2, 8};             /* normally closed to ground, external pull-up: open is HIGH */
constexpr pin_size_t OUTPUT_PIN = 4, OUTPUT_READ = 7; /* HIGH energises; external pull-down, read back at the load */
constexpr pin_size_t RGB[2][3] = {{LED3_R, LED3_G, LED3_B}, {LED4_R, LED4_G, LED4_B}}; /* active low */
constexpr uint8_t COLOUR[3] = {LIGHT_RED, LIGHT_GREEN, LIGHT_BLUE};
constexpr size_t CHUNK = 64;          /* bytes taken in a turn: what the core's UART buffer holds */
constexpr uint32_t SHOW_MS = 50;      /* between looks at the lights: less than an eye notices */
constexpr uint32_t MATRIX_MS = 30000; /* the loader may show its logo for as long; until then the matrix is its */
constexpr uint32_t NOISE_SAMPLES = 64;     /* of an open ADC pin, one or two bits of noise each */

struct core board;
Arduino_LED_Matrix matrix;
uint8_t frame[P_MAX_FRAME], message[LINE_MESSAGE];
size_t message_size, message_sent;

void on_opening()
{
    digitalWrite(OUTPUT_PIN, LOW);
    core_opened(&board);
}

void arm_kill_input()
{
    for (pin_size_t pin : CONTACT) {
        pinMode(pin, INPUT_PULLUP); /* beside the external one: with that lost, open still reads as open */
        attachInterrupt(static_cast<pin_size_t>(digitalPinToInterrupt(pin)), on_opening, RISING);
    }
    digitalWrite(OUTPUT_PIN, LOW);
    pinMode(OUTPUT_PIN, OUTPUT);
    pinMode(OUTPUT_READ, INPUT);
}

uint8_t contacts()
{
    const int a = digitalRead(CONTACT[0]) == LOW ? P_CONTACT_A : 0;
    const int b = digitalRead(CONTACT[1]) == LOW ? P_CONTACT_B : 0;

    return static_cast<uint8_t>(a | b);
}

void receive(uint32_t now)
{
    uint8_t chunk[CHUNK];
    size_t size = 0;

    while (size < CHUNK && ARDUINO_ROUTER_SERIAL.available() > 0) {
        chunk[size++] = static_cast<uint8_t>(ARDUINO_ROUTER_SERIAL.read());
    }
    core_receive(&board, chunk, line_unwrap(chunk, size, now), now);
}

/* As much as the UART has room for: its write() returns no sooner than it took everything. */
void send(uint32_t now)
{
    if (message_sent == message_size) {
        message_size = line_wrap(message, frame, core_send(&board, frame, now), now);
        message_sent = 0;
    }
    const int room = ARDUINO_ROUTER_SERIAL.availableForWrite();
    const size_t rest = message_size - message_sent;
    const size_t size = room <= 0 ? 0 : rest < static_cast<size_t>(room) ? rest : static_cast<size_t>(room);
    if (size > 0) {
        message_sent += ARDUINO_ROUTER_SERIAL.write(message + message_sent, size);
    }
}

void show(uint32_t now)
{
    static bool matrix_on;
    struct lights lights;

    core_show(&board, &lights);
    const uint8_t led[2] = {lights.board, lights.host};
    for (int index = 0; index < 6; index++) {
        digitalWrite(RGB[index / 3][index % 3], (led[index / 3] & COLOUR[index % 3]) != 0 ? LOW : HIGH);
    }
    if (!matrix_on && now >= MATRIX_MS) {
        matrix_on = true;
        matrix.begin();
        matrix.setGrayscaleBits(3);
    }
    if (matrix_on) {
        matrix.draw(lights.pixel);
    }
}

}  // namespace

void board_setup()
{
    arm_kill_input();
    struct core_config config = {line_target, reset_cause(), true, {P_FIRMWARE_HASH}, {}};

    for (uint32_t index = 0; index < NOISE_SAMPLES; index++) {
        const uint32_t sample = static_cast<uint32_t>(analogRead(A0)) ^ static_cast<uint32_t>(micros());
        config.entropy[index % 4] += sample << (index / 4);
    }
    core_init(&board, &config, static_cast<uint32_t>(millis()));
    for (int index = 0; index < 6; index++) {
        pinMode(RGB[index / 3][index % 3], OUTPUT);
    }
    show(0);
    ARDUINO_ROUTER_SERIAL.begin(P_BAUD);
    start_watchdog();
}

void board_loop()
{
    static uint32_t shown;
    const uint32_t now = static_cast<uint32_t>(millis());

    core_contacts(&board, contacts(), now);
    core_read_back(&board, digitalRead(OUTPUT_READ) == HIGH, now);
    receive(now);
    core_tick(&board, now);
    noInterrupts(); /* or an opening between question and answer would be overwritten */
    digitalWrite(OUTPUT_PIN, core_output(&board) ? HIGH : LOW);
    interrupts();
    if (core_is_fresh(&board)) {
        feed_watchdog();
    }
    send(now);
    if (now - shown >= SHOW_MS) {
        shown = now;
        show(now);
    }
}
