/* One state to many TCP clients from one thread with epoll. "each" writes every update, as the usual server does;
 * "latest" writes the newest of a batch, as ours does. What a socket does not take waits here until it can. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UPDATES = 10, SIZE = 200, ROOM = UPDATES * SIZE, EVENTS = 1024 };

/* `rest` are the bytes that the socket did not take, in order. */
struct client {
    int fd, held;
    char rest[ROOM];
};

static struct client *clients;
static int count, first, poll_fd, behind;

static void must(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(2);
    }
}

static void watch(int index, unsigned events) {
    struct epoll_event wanted = {.events = events, .data.u32 = (unsigned)index};
    must(epoll_ctl(poll_fd, EPOLL_CTL_MOD, clients[index].fd, &wanted), "epoll_ctl");
}

static int taken(int fd, const char *bytes, int size) {
    ssize_t sent = send(fd, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) must(-1, "send");
    return sent < 0 ? 0 : (int)sent;
}

static void keep(int index, const char *bytes, int size) {
    struct client *client = &clients[index];
    if (!client->held) {
        watch(index, EPOLLOUT);
        behind++;
    }
    memcpy(client->rest + client->held, bytes, (size_t)size);
    client->held += size;
}

static void drain(int index) {
    struct client *client = &clients[index];
    int sent = taken(client->fd, client->rest, client->held);
    client->held -= sent;
    memmove(client->rest, client->rest + sent, (size_t)client->held);
    if (!client->held) {
        watch(index, 0);
        behind--;
    }
}

/* Until nobody is behind: the next message is 10 ms away. */
static void settle(void) {
    struct epoll_event events[EVENTS];
    while (behind) {
        int ready = epoll_wait(poll_fd, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) must(ready, "epoll_wait");
        for (int i = 0; i < ready; i++) drain((int)events[i].data.u32);
    }
}

static void hand(const char *message) {
    for (int i = 0; i < count; i++) {
        int sent = clients[i].held ? 0 : taken(clients[i].fd, message, SIZE);
        if (sent < SIZE) keep(i, message + sent, SIZE - sent);
    }
    settle();
}

static void work(void) {
    char message[SIZE + 1];
    for (int update = first; update < UPDATES; update++) {
        snprintf(message, sizeof message, "%0*d\n", SIZE - 1, update);
        hand(message);
    }
}

static void check(void) {
    work();
    printf("sent");
}

static void dial(int index, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct epoll_event wanted = {.data.u32 = (unsigned)index};
    must(clients[index].fd = socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(clients[index].fd, (struct sockaddr *)&address, sizeof address), "connect");
    must(fcntl(clients[index].fd, F_SETFL, O_NONBLOCK), "fcntl");
    must(epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[index].fd, &wanted), "epoll_ctl");
}

int main(int arguments, char **argument) {
    if (arguments != 4) return 2;
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
    count = atoi(argument[3]);
    first = strcmp(argument[1], "latest") ? 0 : UPDATES - 1;
    clients = calloc((size_t)count, sizeof *clients);
    must(poll_fd = epoll_create1(0), "epoll_create1");
    for (int i = 0; i < count; i++) dial(i, atoi(argument[2]));
    return peer_serve();
}
