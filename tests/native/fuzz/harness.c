/* libFuzzer around a Python function: PLIMSOLL_FUZZ_TARGET names a module whose `check(data)` raises when the twins
 * disagree, which is a crash like any other. Python's own memory comes from malloc (PYTHONMALLOC), so that the
 * sanitizer knows every object's bounds. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

static PyObject *check;

static void die(void) {
    PyErr_Print();
    abort();
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "harness: %s is not set\n", name);
        exit(2);
    }
    return value;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0; /* libFuzzer has its own */
    PyConfig_SetBytesString(&config, &config.program_name, setting("PLIMSOLL_FUZZ_PYTHON"));
    if (PyStatus_Exception(Py_InitializeFromConfig(&config))) exit(2);
    PyConfig_Clear(&config);
    PyObject *module = PyImport_ImportModule(setting("PLIMSOLL_FUZZ_TARGET"));
    check = module ? PyObject_GetAttrString(module, "check") : NULL;
    if (!check) die();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *result = PyObject_CallFunction(check, "y#", (const char *)data, (Py_ssize_t)size);
    if (!result) die();
    Py_DECREF(result);
    return 0;
}
