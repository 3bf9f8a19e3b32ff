/* The cable: a pty whose slave is the host's serial port, and a symbolic link that names it. Bytes only. */
#ifndef PLIMSOLL_PORT_H
#define PLIMSOLL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PORT_NAME = 64 }; /* bytes: "/dev/pts/N" with room to spare */

struct port {
    int master; /* -1: unplugged */
    int slave;  /* kept open, so that a host that closes its end does not hang up ours */
    char name[PORT_NAME];
    const char *link; /* path of the symbolic link */
};

/* Make a new pty and point the link at it; false with errno when the system has none. */
bool port_plug(struct port *port);

/* Close both ends and remove the link: the host's tty vanishes. */
void port_unplug(struct port *port);

/* Read what came; 0 for nothing. */
size_t port_read(struct port *port, uint8_t *data, size_t room);

/* Write what the pty takes; the rest is lost, as on a UART without flow control. Returns how much it took. */
size_t port_write(struct port *port, const uint8_t *data, size_t size);

#endif
