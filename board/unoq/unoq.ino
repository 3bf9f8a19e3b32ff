/* Plimsoll's firmware as a sketch for the Arduino UNO Q. Everything is in src/unoq/hw_unoq.cpp and src/firmware,
 * which `plimsoll board flash` puts beside this file; see board/unoq/README.md. */
void board_setup();
void board_loop();

void setup()
{
    board_setup();
}

void loop()
{
    board_loop();
}
