/* Implements port.h on Linux. */
#define _GNU_SOURCE
#include "port.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Replace the link in one step, so that a host never sees it half made. */
static bool point_link(const struct port *port)
{
    char beside[4096];
    int length = snprintf(beside, sizeof beside, "%s.new", port->link);

    if (length < 0 || (size_t)length >= sizeof beside) {
        return false;
    }
    unlink(beside);
    return symlink(port->name, beside) == 0 && rename(beside, port->link) == 0;
}

static bool make_raw(int tty)
{
    struct termios settings;

    if (tcgetattr(tty, &settings) != 0) {
        return false;
    }
    cfmakeraw(&settings);
    return tcsetattr(tty, TCSANOW, &settings) == 0;
}

static bool open_pair(struct port *port)
{
    port->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->master < 0 || grantpt(port->master) != 0 || unlockpt(port->master) != 0) {
        return false;
    }
    if (ptsname_r(port->master, port->name, sizeof port->name) != 0) {
        return false;
    }
    port->slave = open(port->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return port->slave >= 0 && make_raw(port->slave);
}

static void close_pair(struct port *port)
{
    if (port->slave >= 0) {
        close(port->slave);
    }
    if (port->master >= 0) {
        close(port->master);
    }
    port->slave = -1;
    port->master = -1;
}

bool port_plug(struct port *port)
{
    port->slave = -1;
    if (open_pair(port) && point_link(port)) {
        return true;
    }
    close_pair(port);
    return false;
}

void port_unplug(struct port *port)
{
    unlink(port->link);
    close_pair(port);
}

size_t port_read(struct port *port, uint8_t *data, size_t room)
{
    ssize_t count = port->master < 0 ? 0 : read(port->master, data, room);

    return count > 0 ? (size_t)count : 0;
}

size_t port_write(struct port *port, const uint8_t *data, size_t size)
{
    ssize_t count = port->master < 0 ? 0 : write(port->master, data, size);

    return count > 0 ? (size_t)count : 0;
}
