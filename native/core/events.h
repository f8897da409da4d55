/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where one event of QEMU's replay log ends and the next begins. QEMU 10.0 writes its log a byte at a time and says
 * nothing about boundaries; a segment may only hold whole events, so somebody must know every payload's length. That
 * is this file, for the tracer (which sees each byte as QEMU writes it) and for the addon (which checks foreign bytes).
 *
 * Invariants: no allocation, no blocking, no dependency; each byte costs a bounded amount of work, so a vCPU thread or
 * the main loop may call it under the replay mutex. Counters only grow, and count whole events only. A scanner that
 * has met an error stays in it.
 *
 * A scanner belongs to whichever thread holds its owner's lock; it has no lock of its own.
 */
#ifndef TRMIG_CORE_EVENTS_H
#define TRMIG_CORE_EVENTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The codes of QEMU 10.0 (log version 0xe0200c). The numbers are the format; they never change here. */
enum {
    TRMIG_EVENT_INSTRUCTION = 0,
    TRMIG_EVENT_INTERRUPT = 1,
    TRMIG_EVENT_EXCEPTION = 2,
    TRMIG_EVENT_BH = 3,
    TRMIG_EVENT_BH_ONESHOT = 4,
    TRMIG_EVENT_INPUT = 5,
    TRMIG_EVENT_INPUT_SYNC = 6,
    TRMIG_EVENT_CHAR_READ = 7,
    TRMIG_EVENT_BLOCK = 8,
    TRMIG_EVENT_NET = 9,
    TRMIG_EVENT_SHUTDOWN = 10, /* + cause, 0 … 10 */
    TRMIG_EVENT_SHUTDOWN_LAST = 20,
    TRMIG_EVENT_CHAR_WRITE = 22,
    TRMIG_EVENT_CHAR_READ_ALL = 23,
    TRMIG_EVENT_CHAR_READ_ALL_ERROR = 24,
    TRMIG_EVENT_AUDIO_OUT = 25,
    TRMIG_EVENT_AUDIO_IN = 26,
    TRMIG_EVENT_RANDOM = 27,
    TRMIG_EVENT_CLOCK_HOST = 28,
    TRMIG_EVENT_CLOCK_VIRTUAL_RT = 29,
    TRMIG_EVENT_CHECKPOINT_WARP_START = 30,
    TRMIG_EVENT_CHECKPOINT_WARP_ACCOUNT = 31,
    TRMIG_EVENT_CHECKPOINT_RESET_REQUESTED = 32,
    TRMIG_EVENT_CHECKPOINT_SUSPEND_REQUESTED = 33,
    TRMIG_EVENT_CHECKPOINT_CLOCK_VIRTUAL = 34,
    TRMIG_EVENT_CHECKPOINT_CLOCK_HOST = 35,
    TRMIG_EVENT_CHECKPOINT_CLOCK_VIRTUAL_RT = 36,
    TRMIG_EVENT_CHECKPOINT_INIT = 37,
    TRMIG_EVENT_CHECKPOINT_RESET = 38,
    TRMIG_EVENT_END = 39,
    TRMIG_EVENT_COUNT = 40
};

enum {
    /* The byte belongs to an event that is not complete yet. */
    TRMIG_SCAN_PARTIAL = 0,
    /* The byte completed an event: `kind` and `value` describe it. */
    TRMIG_SCAN_EVENT = 1,
    /* No QEMU 10.0 wrote this: `error` says why. Every further call says the same. */
    TRMIG_SCAN_ERROR = 2
};

/* Variable bytes in one event: an event must fit a segment (16 MiB) together with its fixed fields. */
#define TRMIG_EVENT_VARIABLE_BYTES_MAX (16u * 1024u * 1024u - 64u)

typedef struct trmig_event_scanner {
    uint64_t instructions; /* sum of all INSTRUCTION events */
    uint64_t events;
    uint64_t bytes; /* bytes of whole events; a partial one is not counted */
    uint64_t counts[TRMIG_EVENT_COUNT];
    uint64_t block_events; /* block completions logged: requests begun minus these are in flight */
    int64_t clock[2];      /* last CLOCK_HOST and CLOCK_VIRTUAL_RT, ns */
    uint64_t value;        /* the event's first integer operand: instructions, clock ns, id; 0 without operands */
    const char *error;     /* a static string, or NULL */
    uint8_t kind;          /* code of the event that is being scanned, or was scanned last */

    /* Private: where in the current event the scanner stands. */
    const char *step;       /* next field of the event; NULL between events */
    uint64_t operand;       /* integer being read, big-endian */
    uint32_t partial_bytes; /* bytes of the current event so far */
    uint32_t skip_bytes;    /* bytes of an array still to pass over */
    uint8_t operand_bytes;  /* bytes of the integer still to come */
    uint8_t operands;       /* integers finished in this event */
    char field;             /* what the integer means */
} trmig_event_scanner;

void trmig_event_scanner_init(trmig_event_scanner *s);

/* Feeds one byte. Returns TRMIG_SCAN_PARTIAL, TRMIG_SCAN_EVENT or TRMIG_SCAN_ERROR. */
int trmig_event_scan_byte(trmig_event_scanner *s, uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
