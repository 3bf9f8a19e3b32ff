/*
 * What hw_unoq.cpp uses of Arduino's core for the UNO Q and of its LED library, declared and nothing more: the core
 * itself cannot be had here. Each with where it comes from:
 *
 *   [api]      ArduinoCore-API, api/Common.h and api/HardwareSerial.h, which the core includes
 *   [core]     ArduinoCore-zephyr, cores/arduino: Arduino.h, zephyrSerial.h
 *   [manual]   UNO Q user manual and board overlay: LED3_R to LED4_B, active low, on PH10 to PH15
 *   [matrix]   Arduino_LED_Matrix.h of the core: begin, setGrayscaleBits(1|3|8), draw(uint8_t[104])
 */
#ifndef PLIMSOLL_ARDUINO_DECLARED_H
#define PLIMSOLL_ARDUINO_DECLARED_H

#include <stddef.h>
#include <stdint.h>

extern "C" {
typedef uint8_t pin_size_t; /* [api] */
enum PinStatus { LOW = 0, HIGH = 1, CHANGE = 2, FALLING = 3, RISING = 4 }; /* [api] */
enum PinMode { INPUT = 0, OUTPUT = 1, INPUT_PULLUP = 2 };                  /* [api] */
typedef void (*voidFuncPtr)(void);                                         /* [api] */

void pinMode(pin_size_t pin, PinMode mode);                                             /* [api] */
void digitalWrite(pin_size_t pin, PinStatus level);                                     /* [api] */
PinStatus digitalRead(pin_size_t pin);                                                  /* [api] */
int analogRead(pin_size_t pin);                                                         /* [api] */
unsigned long millis(void);                                                             /* [api] */
unsigned long micros(void);                                                             /* [api] */
void attachInterrupt(pin_size_t interrupt, voidFuncPtr callback, PinStatus mode);       /* [api] */
void interrupts(void);                                                                  /* [core] Arduino.h */
void noInterrupts(void);                                                                /* [core] Arduino.h */
}
int digitalPinToInterrupt(pin_size_t pin); /* [core] Arduino.h */

/* [core] an enumeration made from the device tree: the values are ours, the order is not relied upon */
enum { A0 = 14, LED3_R = 40, LED3_G, LED3_B, LED4_R, LED4_G, LED4_B }; /* [manual] */

namespace arduino {
class ZephyrSerial { /* [core] zephyrSerial.h */
public:
    void begin(unsigned long baud);
    int available();
    int availableForWrite();
    int read();
    size_t write(const uint8_t *buffer, size_t size);
};
}  // namespace arduino

extern arduino::ZephyrSerial Serial2; /* [core] the third of Serial, Serial1, ...: LPUART1, to Linux */
#define ARDUINO_ROUTER_SERIAL Serial2 /* [core] zephyrSerial.h */

class Arduino_LED_Matrix { /* [matrix] */
public:
    int begin();
    void setGrayscaleBits(uint8_t bits);
    void draw(uint8_t *buffer);
};

#ifdef UNOQ_RECORDED /* the registers too become something that a test can watch */
struct Register {
    uint32_t address;
    void operator=(uint32_t value) const;
    operator uint32_t() const;
};
#define UNOQ_REGISTER(address) (Register{address})
#endif

#endif
