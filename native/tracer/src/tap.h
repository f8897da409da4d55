/*
 * The tap: while armed, QEMU writes its replay log into a FILE that is ours; the tap cuts that byte stream into segments
 * and a thread of its own sends them.
 *
 * Invariants: a segment holds whole events only; segments follow each other without a gap (`to` of one is `from` of the
 * next); the vCPU and the main loop never wait for the stream's reader: what it does not take piles up in a bounded ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_TAP_H
#define TRMIG_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    uint64_t ring_used_bytes, ring_capacity_bytes;
    uint64_t segments, events, raw_bytes, instructions;
    bool stream;             /* the reader is there */
    uint64_t stream_gone_ns; /* host_ns() when the reader went, or 0 */
    bool overflow;           /* the ring filled up: the log has a hole and is worthless from there on */
} TapStatus;

/* Where the tap's log begins: at instruction 0, or where another one has ended. */
typedef struct {
    uint64_t seq, instructions;
    uint64_t block_events; /* of the log before */
    int64_t clocks[2];     /* the last known clock values */
} TapStart;

/* Opens the tap on `stream_fd` (owned by the tap from now on). Returns the FILE for replay_file. Main thread. */
FILE *tap_open(int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, const TapStart *start);

/* Changes the cutting bounds. Any thread. */
void tap_set_bounds(uint64_t segment_ms, uint64_t segment_bytes);

/* The guest takes an exception after `instructions`. It enters the log only if another event follows at the same
 * instruction: then their order must be told. vCPU thread, replay mutex held. */
void tap_exception(uint64_t instructions);

/* If a segment is due by time, it is cut at the vCPU's next event between two slices: says whether it is. Any thread. */
bool tap_hurry(void);

/* Cuts the final segment. The VM is stopped, replay mutex held, nothing may write afterwards. Main thread. */
void tap_finish(void);

/* The last value of both logged clocks (REPLAY_CLOCK_HOST, REPLAY_CLOCK_VIRTUAL_RT). After tap_finish. */
void tap_last_clocks(int64_t clocks[2]);

/* BLOCK events logged so far, also before the tap was opened: with ReplayState.block_request_id it gives the requests in flight. */
uint64_t tap_block_events(void);

/* Waits at most `timeout_ms` until all segments are written to the stream, then closes tap and stream.
 * `file` is what tap_open returned. Main thread. */
void tap_close(FILE *file, unsigned timeout_ms);

/* Any thread. */
TapStatus tap_status(void);

#endif
