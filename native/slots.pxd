# native/slots.py for the compiled twins: inline, a slot is one load from its object, a short integer one more.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcmp

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    enum: T_OBJECT_EX

cdef extern from "Python.h":
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    int PyObject_TypeCheck(object value, void* kind)
    char PyMemberDescr_Type

# In C for what Cython cannot say: which branch is rare, and how an integer lies in memory.
cdef extern from *:
    """
    #define SLOTS_FAILED (-4611686018427387905LL) /* with an exception; a number that hardly ever comes without */

    static __attribute__((noinline, cold)) int64_t slots_long(PyObject *found) {
        int beyond = 0;
        PyObject *kind;
        if (found && PyLong_Check(found)) { /* AsLongLong goes byte by byte before 3.13 */
            int64_t value = sizeof(long) == 8 ? PyLong_AsLongAndOverflow(found, &beyond)
                                              : PyLong_AsLongLongAndOverflow(found, &beyond);
            if (!beyond) return value;
            PyErr_SetString(PyExc_OverflowError, "integer outside the signed 64-bit range");
        } else if (!found) {
            PyErr_SetString(PyExc_AttributeError, "nothing was put into a slot");
        } else if ((kind = PyType_GetName(Py_TYPE(found)))) {
            PyErr_Format(PyExc_TypeError, "an integer is needed, not %U", kind);
            Py_DECREF(kind);
        }
        return SLOTS_FAILED;
    }

    /* Short is one of Python's own digits, before 3.12 two: ticks, sizes, ids, most money. */
    static inline int64_t slots_number(PyObject *owner, Py_ssize_t where) {
        PyObject *found = *(PyObject **)((char *)owner + where);
        if (!found || !PyLong_Check(found)) return slots_long(found);
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)found))
            return PyUnstable_Long_CompactValue((PyLongObject *)found);
    #else
        const digit *digits = ((PyLongObject *)found)->ob_digit;
        Py_ssize_t size = Py_SIZE(found);
        if ((size_t)(size + 1) < 3) return size * (int64_t)digits[0];
        if (size == 2) return (int64_t)digits[1] << PyLong_SHIFT | digits[0];
    #endif
        return slots_long(found);
    }
    """
    int64_t number "slots_number" (object owner, Py_ssize_t where) except? -4611686018427387905

cdef inline Py_ssize_t place(object kind, str name) except -1:
    cdef object found = vars(kind).get(name)
    cdef PyMemberDef* member
    if PyObject_TypeCheck(found, &PyMemberDescr_Type):
        member = (<PyMemberDescrObject*><PyObject*>found).d_member
        if member.type == T_OBJECT_EX:
            return member.offset
    raise TypeError(f"{kind.__name__}.{name} is not a slot")

cdef inline object read(object owner, Py_ssize_t where):
    cdef PyObject* found = (<PyObject**>(<char*><PyObject*>owner + where))[0]
    if found is NULL:
        raise AttributeError("nothing was put into a slot")
    return <object>found

cdef inline bint alike(str left, str right) except -1:
    cdef Py_ssize_t size
    if left is right:
        return True
    if left is None or right is None:
        return False
    size = PyUnicode_GET_LENGTH(left)
    if size != PyUnicode_GET_LENGTH(right) or PyUnicode_KIND(left) != PyUnicode_KIND(right):
        return False
    return memcmp(PyUnicode_DATA(left), PyUnicode_DATA(right), <size_t>(size * PyUnicode_KIND(left))) == 0
