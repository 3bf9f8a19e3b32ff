# cython: boundscheck=False, wraparound=False
# Runs native.fanout_c with send(2) in one loop without the interpreter's lock: declaring a function nogil does not
# release it. No logic; the rest of the module is passed on. The columns have a place for every client (`_grow`), and
# no more than all clients are ever due.

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int64_t

from native.fanout_c cimport Fanout as Sending

from native.fanout_c import BACKLOG_LIMIT, CLIENTS_LIMIT, CLOSED, FAILED, MESSAGE_LIMIT, PATIENCE, SLOW

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT, MSG_NOSIGNAL
    ssize_t send(int fd, const void *message, size_t size, int flags)


cdef class Fanout(Sending):
    cdef int _send(self, bytes message, Py_ssize_t count) except -1:
        cdef const char *data = message
        cdef size_t size = len(message)
        cdef int[::1] fds = self._fds  # kept alive until the loop is over, as are the results and the message
        cdef int64_t[::1] results = self._results
        cdef Py_ssize_t index
        with nogil:
            for index in range(count):
                if fds[index] < 0:
                    results[index] = -EAGAIN
                    continue
                results[index] = send(fds[index], data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                if results[index] < 0:
                    results[index] = -errno
        return 0
