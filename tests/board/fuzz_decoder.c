/*
 * Fuzz target: bytes from nowhere into the whole firmware, with time, contacts and a read-back that does as it likes.
 *
 * An input is a script. Its first byte seeds the board's entropy; then each operation is a byte, its argument another,
 * and what it needs after that. Most operations are hostile; a few are what an honest host says, for no fuzzer would
 * guess a challenge's answer, and RUN is where the invariants count. After every operation:
 *
 *     the output is on only in RUN; RUN is entered only from READY, which spends the nonce;
 *     in RUN the last sample was closed, the host lives, and neither channel nor output is at fault;
 *     a nonce exists only in READY; every frame sent is whole, a message, and ends with its only zero.
 *
 * Build with python board/build.py fuzz-decoder.
 */
#include <stdlib.h>
#include <string.h>

#include "../../board/firmware/firmware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum operation { PASS_TIME, RAW, CONTACTS, FRAMED, ANSWER, ARM, ACK, OTHER, OPERATIONS };
enum { HELLO_AGAIN, HELLO_NEW, INTERRUPT, STUCK_ON, STUCK_OFF, FOLLOWS, JUMP, OTHERS };
enum { CLOSED = P_CONTACT_A | P_CONTACT_B, FOLLOWING = 2 };

struct script {
    const uint8_t *at;
    size_t left;
};

struct world {
    struct core core;
    struct script script;
    uint32_t now_ms;
    uint32_t challenge; /* the board's last */
    uint32_t session;
    uint16_t seq;
    uint8_t contacts;
    uint8_t read_back; /* 0, 1 or FOLLOWING */
};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint8_t take(struct script *script)
{
    if (script->left == 0) {
        return 0;
    }
    script->left--;
    return *script->at++;
}

/* A sent frame must be what the host's decoder takes; remember its challenge. */
static void examine(struct world *world, const uint8_t *out, size_t size)
{
    struct frame_decoder decoder = {0};
    struct frame frame;
    struct message message;

    require(size <= P_MAX_FRAME && out[size - 1] == 0);
    for (size_t at = 0; at + 1 < size; at++) {
        require(out[at] != 0 && frame_decode(&decoder, out[at], &frame) == FRAME_PENDING);
    }
    require(frame_decode(&decoder, 0, &frame) == FRAME_GOOD);
    require(message_read(frame.type, frame.payload, frame.payload_size, &message));
    require(frame.session == world->core.link.session && (frame.type & P_FROM_BOARD) != 0);
    if (frame.type == P_TYPE_BOARD_BEAT) {
        world->challenge = message.field[0];
    }
}

static void turn(struct world *world)
{
    struct core *core = &world->core;
    uint8_t out[P_MAX_FRAME];
    size_t size;
    bool follows = world->read_back == FOLLOWING;

    core_contacts(core, world->contacts, world->now_ms);
    core_read_back(core, follows ? core_output(core) : world->read_back == 1, world->now_ms);
    core_receive(core, NULL, 0, world->now_ms);
    core_tick(core, world->now_ms);
    while ((size = core_send(core, out, world->now_ms)) > 0) {
        examine(world, out, size);
    }
}

static void receive(struct world *world, const uint8_t *data, size_t size)
{
    core_receive(&world->core, data, size, world->now_ms);
}

/* Bytes of the script, as they are. */
static void receive_raw(struct world *world, size_t count)
{
    struct script *script = &world->script;
    size_t size = count < script->left ? count : script->left;

    receive(world, script->at, size);
    script->at += size;
    script->left -= size;
}

static void receive_payload(struct world *world, uint8_t type, const uint8_t *payload, size_t size)
{
    uint8_t out[P_MAX_FRAME];
    struct frame frame = {
        .type = type,
        .version = P_VERSION,
        .session = world->session,
        .seq = ++world->seq,
        .payload = payload,
        .payload_size = size,
    };

    size = frame_encode(&frame, out);
    receive(world, out, size);
}

/* Bytes of the script as the payload of an intact frame of any type. */
static void receive_framed(struct world *world, uint8_t type)
{
    struct script *script = &world->script;
    size_t wanted = take(script) % P_MAX_PAYLOAD;
    size_t size = wanted < script->left ? wanted : script->left;

    receive_payload(world, type, script->at, size);
    script->at += size;
    script->left -= size;
}

static void receive_message(struct world *world, uint8_t type, uint32_t first, uint32_t second)
{
    struct message message = {.type = type, .field = {first, second}};
    uint8_t payload[P_MAX_PAYLOAD];
    size_t size = message_write(&message, payload);

    receive_payload(world, type, payload, size);
}

static void greet(struct world *world, bool anew)
{
    if (anew) {
        world->session++;
        world->seq = 0;
    }
    receive_message(world, P_TYPE_HELLO, 1, 0);
}

static void do_other(struct world *world, uint8_t argument)
{
    switch (argument % OTHERS) {
    case HELLO_AGAIN: greet(world, false); break;
    case HELLO_NEW: greet(world, true); break;
    case INTERRUPT: core_opened(&world->core); break;
    case STUCK_ON: world->read_back = 1; break;
    case STUCK_OFF: world->read_back = 0; break;
    case FOLLOWS: world->read_back = FOLLOWING; break;
    case JUMP: world->now_ms += (uint32_t)take(&world->script) << 24; break;
    default: break;
    }
}

static void operate(struct world *world, uint8_t operation, uint8_t argument)
{
    switch (operation % OPERATIONS) {
    case PASS_TIME: world->now_ms += argument; break;
    case RAW: receive_raw(world, argument); break;
    case CONTACTS: world->contacts = argument & CLOSED; break;
    case FRAMED: receive_framed(world, argument); break;
    case ANSWER: receive_message(world, P_TYPE_HOST_BEAT, argument, ~world->challenge); break;
    case ARM: receive_message(world, P_TYPE_ARM, world->core.arm_nonce ^ argument, 0); break;
    case ACK: receive_message(world, P_TYPE_ACK, world->core.trip.id ^ argument, 0); break;
    case OTHER: do_other(world, argument); break;
    default: break;
    }
}

static void check(const struct core *core, uint8_t before)
{
    bool runs = core->state == P_STATE_RUN;

    require(core->state < STATES);
    require(!core_output(core) || runs);
    require((core->arm_nonce != 0) == (core->state == P_STATE_READY));
    require(!runs || before == P_STATE_RUN || before == P_STATE_READY);
    require(!runs || (core->deadman.live && core->kill.contacts == CLOSED));
    require(!runs || (core->faults & (P_FAULT_DISCREPANCY | P_FAULT_READBACK)) == 0);
    require(core->state != P_STATE_READY || core->trip.acknowledged);
    require(core->trip.id != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.script = {data, size}, .contacts = CLOSED, .read_back = FOLLOWING, .session = 1};
    struct core_config config = {.target = P_TARGET_LINUX, .two_channels = true};

    config.entropy[0] = take(&world.script);
    core_init(&world.core, &config, 0);
    while (world.script.left > 0) {
        uint8_t before = world.core.state;
        uint8_t operation = take(&world.script);

        operate(&world, operation, take(&world.script));
        check(&world.core, before);
        before = world.core.state;
        turn(&world);
        check(&world.core, before);
    }
    return 0;
}
