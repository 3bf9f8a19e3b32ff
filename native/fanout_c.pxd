# C types for native/fanout_py.py compiled as native.fanout_c. Declarations only; the logic is in the Python source.

cimport cython
from libc.stdint cimport int64_t

@cython.final
@cython.freelist(8)
cdef class Client:
    cdef int fd
    cdef readonly object transport
    cdef int64_t had, behind

cdef class Fanout:
    cdef dict _clients
    cdef int64_t _limit, _number, _patience
    cdef bytes _latest, _step
    cdef int[::1] _fds
    cdef int64_t[::1] _results

    cpdef add(self, object fd, object transport)
    cpdef bint remove(self, object transport) except -1
    @cython.locals(latest=bytes)
    cpdef publish(self, object message, object step=*)
    @cython.locals(client=Client, waiting=Py_ssize_t)
    cpdef Py_ssize_t waiting(self) except -1
    @cython.locals(dropped=list, following=list, others=list)
    cpdef list flush(self)

    @cython.locals(room=Py_ssize_t)
    cdef int _grow(self) except -1
    @cython.locals(before=int64_t, client=Client, held=int64_t)
    cdef int _due(self, list following, list others, list dropped) except -1
    @cython.locals(size=Py_ssize_t, count=Py_ssize_t, index=Py_ssize_t, taken=int64_t, client=Client, number=int64_t, results=int64_t[::1])
    cdef int _offer(self, bytes message, list clients, list dropped) except -1
    @cython.locals(index=Py_ssize_t)
    cdef int _send(self, bytes message, Py_ssize_t count) except -1
    cdef bint _rest(self, bytes message, Client client, int64_t taken) except -1

cdef bytes _checked(object message)
