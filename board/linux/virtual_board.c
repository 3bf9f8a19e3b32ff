/*
 * The virtual board: the firmware as a Linux process, its UART a pty, its switch and the faults of its line a control
 * socket. Options and the loop over descriptors are here; the hardware it plays is machine.c.
 *
 *     virtual-board --link PATH --control PATH [--seed N] [--one-channel] [--uptime MS]
 *
 * Prints one line of JSON when both paths exist, and ends with its parent or on SIGTERM. It protects nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "machine.h"

enum {
    TICK_NS = 1000000,  /* the firmware's poll of the contacts */
    CLIENTS = 8,        /* control connections at a time: a demo has one, a test a few */
    BACKLOG = 8,
};

/* Places in the array that is polled. */
enum { TIMER, LISTENER, CABLE, FIRST_CLIENT, POLLED = FIRST_CLIENT + CLIENTS };

struct client {
    int socket; /* -1: free */
    size_t filled;
    char line[CONTROL_LINE];
};

struct options {
    const char *link;
    const char *control;
    uint64_t seed;
    uint32_t uptime_ms;
    bool one_channel;
};

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
    (void)signal;
    ended = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "virtual-board: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage(void)
{
    fprintf(stderr, "usage: virtual-board --link PATH --control PATH [--seed N] [--one-channel] [--uptime MS]\n");
    exit(2);
}

static uint64_t parse_number(const char *text, uint64_t highest)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > highest) {
        usage();
    }
    return value;
}

static void parse(int count, char **words, struct options *options)
{
    static const struct option KNOWN[] = {
        {"link", required_argument, NULL, 'l'}, {"control", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'}, {"uptime", required_argument, NULL, 'u'},
        {"one-channel", no_argument, NULL, '1'}, {0},
    };
    int option;

    while ((option = getopt_long(count, words, "", KNOWN, NULL)) != -1) {
        switch (option) {
        case 'l': options->link = optarg; break;
        case 'c': options->control = optarg; break;
        case 's': options->seed = parse_number(optarg, UINT64_MAX); break;
        case 'u': options->uptime_ms = (uint32_t)parse_number(optarg, UINT32_MAX); break;
        case '1': options->one_channel = true; break;
        default: usage();
        }
    }
    if (options->link == NULL || options->control == NULL || optind != count) {
        usage();
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    unlink(path);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, BACKLOG) != 0) {
        fail(path);
    }
    return listener;
}

static int start_ticking(void)
{
    struct itimerspec every = {.it_interval = {.tv_nsec = TICK_NS}, .it_value = {.tv_nsec = TICK_NS}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) != 0) {
        fail("timerfd");
    }
    return timer;
}

static void welcome_client(int listener, struct client *clients)
{
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    for (int index = 0; socket >= 0 && index < CLIENTS; index++) {
        if (clients[index].socket < 0) {
            clients[index].socket = socket;
            clients[index].filled = 0;
            return;
        }
    }
    if (socket >= 0) {
        close(socket);
    }
}

static void drop_client(struct client *client)
{
    close(client->socket);
    client->socket = -1;
}

/* Carry out the whole lines that the client has sent; false when its answer cannot be written. */
static bool serve_lines(struct machine *machine, struct client *client)
{
    char answer[CONTROL_ANSWER];
    char *end;

    while ((end = memchr(client->line, '\n', client->filled)) != NULL) {
        size_t used = (size_t)(end - client->line) + 1;
        size_t size;

        *end = '\0';
        control_execute(machine, client->line, answer);
        size = strlen(answer);
        memmove(client->line, client->line + used, client->filled - used);
        client->filled -= used;
        if (send(client->socket, answer, size, MSG_NOSIGNAL) != (ssize_t)size) {
            return false;
        }
    }
    return true;
}

static void serve_client(struct machine *machine, struct client *client)
{
    ssize_t count = read(client->socket, client->line + client->filled, CONTROL_LINE - client->filled);

    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        drop_client(client);
        return;
    }
    client->filled += (size_t)count;
    if (!serve_lines(machine, client) || client->filled == CONTROL_LINE) {
        drop_client(client);
    }
}

/* Wait for something to happen; false when a signal came instead. Descriptors below zero are passed over. */
static bool wait_for(struct pollfd *polled, const struct machine *machine, const struct client *clients)
{
    bool deaf = machine_is_frozen(machine); /* bytes wait meanwhile, and wake nobody */

    polled[CABLE].fd = deaf ? -1 : machine->port.master;
    for (int index = 0; index < CLIENTS; index++) {
        polled[FIRST_CLIENT + index].fd = clients[index].socket;
    }
    return poll(polled, POLLED, -1) >= 0;
}

static void drain(int timer)
{
    uint64_t ticks;

    while (read(timer, &ticks, sizeof ticks) > 0) {
    }
}

static void serve(struct machine *machine, const struct pollfd *polled, struct client *clients)
{
    if (polled[TIMER].revents != 0) {
        drain(polled[TIMER].fd);
    }
    machine_step(machine);
    for (int index = 0; index < CLIENTS; index++) {
        if (polled[FIRST_CLIENT + index].revents != 0) {
            serve_client(machine, &clients[index]);
        }
    }
    if (polled[LISTENER].revents != 0) {
        welcome_client(polled[LISTENER].fd, clients);
    }
}

static void run(struct machine *machine, int timer, int listener)
{
    struct client clients[CLIENTS];
    struct pollfd polled[POLLED] = {{0}};

    for (int index = 0; index < POLLED; index++) {
        polled[index].events = POLLIN;
    }
    for (int index = 0; index < CLIENTS; index++) {
        clients[index].socket = -1;
    }
    polled[TIMER].fd = timer;
    polled[LISTENER].fd = listener;
    while (!ended) {
        if (wait_for(polled, machine, clients)) {
            serve(machine, polled, clients);
        }
    }
}

static void expect_the_end(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int count, char **words)
{
    static struct machine machine;
    struct options options = {0};
    int listener;
    int timer;

    expect_the_end();
    if (getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed) {
        fail("getrandom");
    }
    parse(count, words, &options);
    machine_init(&machine, options.link, options.seed, !options.one_channel, options.uptime_ms);
    if (!port_plug(&machine.port)) {
        fail(options.link);
    }
    listener = listen_at(options.control);
    timer = start_ticking();
    printf("{\"pty\":\"%s\",\"control\":\"%s\"}\n", machine.port.name, options.control);
    fflush(stdout);
    run(&machine, timer, listener);
    port_unplug(&machine.port);
    unlink(options.control);
    return 0;
}
