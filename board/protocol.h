/*
 * The board link's numbers: ids, sizes, time-outs and version, and nothing else.
 *
 * The single source for the firmware on every target, the host and the MicroPython board. A Python test parses
 * this file, so each definition is one line: a name with the prefix P_, a decimal or 0x literal, and a comment
 * with the unit and the reason. There is no include guard: C allows a definition to be repeated word for word.
 * What the messages mean and how both sides behave is in board/README.md.
 */

/* The frame: COBS( type u8 | version u8 | session u32 | seq u16 | ack u16 | t_ms u32 | payload | crc u32 ) 0x00 */
#define P_VERSION 1 /* of layout and meaning together; a side accepts no other */
#define P_BAUD 115200 /* bit/s, 8N1: what the UNO Q's UART to Linux runs at; 86.8 us a byte */
#define P_MAX_FRAME 128 /* bytes with the closing zero: 11 ms at 115,200 baud, and a small board's buffer */
#define P_MAX_PAYLOAD 108 /* bytes: P_MAX_FRAME less COBS 1, header 14, CRC 4 and zero 1 */
#define P_HEADER_SIZE 14 /* bytes from type to t_ms */
#define P_CRC_SIZE 4 /* bytes: CRC-32 as zlib has it */
#define P_MAX_NESTING 4 /* arrays in arrays: messages need one, a bound keeps the reader's state small */
#define P_SEQ_WINDOW 32768 /* frames: a sequence number less than this ahead is new, any other was seen or is late */
#define P_FROM_BOARD 0x40 /* bit of the type: set by the board, so that an echo is recognised */

/* Types of message, host to board */
#define P_TYPE_HELLO 0x01 /* [host_nonce u32]; the header's session is the new one */
#define P_TYPE_HOST_BEAT 0x02 /* [challenge u32, answer u32] */
#define P_TYPE_ACK 0x03 /* [trip_id u16] */
#define P_TYPE_ARM 0x04 /* [arm_nonce u32] */
#define P_TYPE_STOP 0x05 /* [] */
#define P_TYPE_LIGHTS 0x06 /* [status u8, net i16, pnl_usd i32] */

/* Types of message, board to host */
#define P_TYPE_WELCOME 0x41 /* [host_nonce u32, hash bytes(8), target u8, reset u8, boot_id u32, interlock u8] */
#define P_TYPE_BOARD_BEAT 0x42 /* [challenge, answer, state, contacts, faults, arm_nonce, trip_id, cause] */
#define P_TYPE_TRIP 0x43 /* [trip_id u16, cause u8, at_ms u32] */
#define P_TYPE_FAULTS 0x44 /* [faults u16, since_ms u32] */
#define P_TYPE_COUNTERS 0x45 /* [good, bad, duplicate, looped, wrong_session, wrong_version, overrun, uptime_s] */
#define P_HASH_SIZE 8 /* bytes of the firmware's SHA-256 in WELCOME: tells builds apart, proves nothing */

/* Times, all in milliseconds; none may exceed 500 except the two windows that only count */
#define P_HELLO_MS 100 /* between HELLOs until WELCOME: two fit the host's silence */
#define P_BEAT_MS 50 /* between BEATs, both ways: 20 Hz takes about a tenth of the line with the longest BEAT */
#define P_BEAT_GAP_MS 10 /* least distance of BEATs that a change calls for: a bouncing contact floods no UART */
#define P_WORK_MS 100 /* the host's work loop must have turned within this for a BEAT: a side thread proves nothing */
#define P_HOST_SILENCE_MS 200 /* the host calls the session lost: four BEATs missed */
#define P_BOARD_SILENCE_MS 250 /* the board trips: after the host knew, so that a dying host can still say STOP */
#define P_TRIP_MS 50 /* between repetitions of a TRIP until its ACK */
#define P_COUNTERS_MS 1000 /* between COUNTERS */
#define P_LATE_MS 200 /* frames of the former session this soon after HELLO are late, not an attack */
#define P_RELEASE_MS 100 /* a contact counts as closed after this long without an open sample: switches bounce */
#define P_DISCREPANCY_MS 50 /* two channels may differ this long: contacts of one switch do not move together */
#define P_READBACK_MS 20 /* the output may take this long to follow: a relay's pull-in, not its failure */
#define P_FRESH_MS 20 /* input, link and read-back must each have run this recently to feed the watchdog */
#define P_WATCHDOG_MS 250 /* unfed for this long the hardware resets the board: as soon as the deadman would trip */
#define P_NOISE_WINDOW_MS 1000 /* bad frames are counted over this window, to the millisecond */

/* Counts */
#define P_NOISE_LIMIT 20 /* bad frames in the window: more trips; a host sends about 25 a second, so few would be left */
#define P_CHALLENGES 8 /* challenges still open to an answer: 400 ms of BEATs, more than either side's silence */
#define P_SESSIONS_PER_SECOND 2 /* new sessions the host may open: a flapping line must not become a flood */

/* States of the board, in BEAT */
#define P_STATE_TRIPPED 0 /* output off; boot begins here */
#define P_STATE_READY 1 /* output off; closed, live, acknowledged: ARM with the nonce may follow */
#define P_STATE_RUN 2 /* output on; nowhere else */
#define P_STATE_FAULT 3 /* output off; the hardware contradicts itself */

/* Causes of a trip, in BEAT and TRIP */
#define P_CAUSE_NONE 0 /* never sent in TRIP */
#define P_CAUSE_BOOT 1 /* the board started */
#define P_CAUSE_SWITCH 2 /* a contact opened */
#define P_CAUSE_LINK 3 /* the host was silent */
#define P_CAUSE_HOST 4 /* STOP; shown in BEAT only, since it is the host's own wish */
#define P_CAUSE_SESSION 5 /* a new HELLO while READY or RUN */
#define P_CAUSE_NOISE 6 /* too many bad frames */
#define P_CAUSE_PROTOCOL 7 /* a frame of another version or session */
#define P_CAUSE_FAULT 8 /* discrepancy or read-back */

/* Bits of contacts, in BEAT */
#define P_CONTACT_A 1 /* channel A is closed */
#define P_CONTACT_B 2 /* channel B is closed; never set by a board with one channel */

/* Bits of interlock, in WELCOME */
#define P_INTERLOCK_TWO 1 /* the board has two channels: closed means both bits of contacts */

/* Bits of faults, in BEAT and FAULTS */
#define P_FAULT_DISCREPANCY 1 /* the channels differed for longer than P_DISCREPANCY_MS; ends when both were open */
#define P_FAULT_READBACK 2 /* the output did not follow for longer than P_READBACK_MS; ends by reboot only */
#define P_FAULT_WATCHDOG 4 /* the last reset was the watchdog's: told, and no obstacle to READY */
#define P_FAULT_STARVED 8 /* a task is not fresh: the watchdog is not fed, READY and ARM are refused meanwhile */

/* Causes of the last reset, in WELCOME */
#define P_RESET_UNKNOWN 0 /* the hardware does not tell */
#define P_RESET_POWER 1 /* power came on or dipped */
#define P_RESET_PIN 2 /* NRST, which Linux can pull */
#define P_RESET_WATCHDOG 3 /* the firmware did not feed the watchdog */
#define P_RESET_SOFTWARE 4 /* asked for, as after flashing */

/* Targets, in WELCOME */
#define P_TARGET_UNOQ 1 /* Arduino UNO Q */
#define P_TARGET_QEMU 2 /* Cortex-M33 in QEMU */
#define P_TARGET_LINUX 3 /* the virtual board */
#define P_TARGET_MICROPYTHON 4 /* any MicroPython board */
#define P_TARGET_UNOQ_GUEST 5 /* Arduino UNO Q whose frames go through Arduino's router */

/* Status of the host, in LIGHTS */
#define P_STATUS_STARTING 0 /* not reconciled yet */
#define P_STATUS_DISARMED 1 /* in order, and waiting for a person */
#define P_STATUS_ARMED_FLAT 2 /* trading, no position */
#define P_STATUS_IN_POSITION 3 /* trading, in the market */
#define P_STATUS_NEAR_LIMIT 4 /* trading, close to a limit */
#define P_STATUS_DEGRADED_FEED 5 /* holding, market data is late */
#define P_STATUS_HALTED 6 /* no entries until a person re-arms */
#define P_STATUS_TRIPPED 7 /* halted by the switch */
#define P_STATUS_UPDATING 8 /* software is being replaced */
#define P_STATUS_FAULT 9 /* the host found itself wrong */

/* Lights */
#define P_MATRIX_ROWS 8 /* pixels */
#define P_MATRIX_COLUMNS 13 /* pixels */
#define P_MATRIX_BRIGHTEST 7 /* 3 bits of grey */
