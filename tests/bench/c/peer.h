/* What every peer in C shares: its input file, and the loop that answers `check` and `run N` on standard input.
 * A peer defines work() (one unit of work) and check() (the work done once, then its result on one line). */
#ifndef PEER_H
#define PEER_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void work(void);
static void check(void);

/* The whole of a file; exits when it cannot be read. */
static inline void *peer_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size) exit(2);
    fclose(file);
    return bytes;
}

static int64_t peer_cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A double as the integer of its bits: equal text means equal to the last bit. */
static inline int64_t peer_bits(double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int peer_serve(void) {
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "run ", 4)) {
            long repeats = atol(line + 4);
            int64_t begun = peer_cpu_ns();
            for (long i = 0; i < repeats; i++) work();
            printf("%" PRId64 "\n", peer_cpu_ns() - begun);
        } else {
            check();
            printf("\n");
        }
        fflush(stdout);
    }
    return 0;
}

#endif
