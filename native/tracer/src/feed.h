/*
 * The feed: while playing, QEMU reads its replay log from a FILE that is ours; a thread of its own reads segments from a
 * stream and the feed hands their bytes over, one segment at a time.
 *
 * Invariants: QEMU asks for the first byte of a segment only after it has consumed the last event of the one before, so
 * the boundary between two segments is an exact instruction: there the canary is compared. Where the log must stop
 * (`until`, the final segment, a lost stream, a divergence) the feed hands out an END event, which freezes the vCPU at
 * that instruction and leaves the main loop alive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_FEED_H
#define TRMIG_FEED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
    FEED_RUNNING = 0,
    FEED_UNTIL,    /* stopped at the instruction asked for; feed_continue goes on */
    FEED_FINAL,    /* a final segment has been handed out; feed_continue goes on, when others follow it */
    FEED_LOST,     /* the stream ended before a final segment */
    FEED_DAMAGED,  /* a frame that is not one, or does not follow the one before */
    FEED_DIVERGED, /* a canary differs: this is not the machine that was recorded */
} FeedEnd;

typedef struct {
    uint64_t seq, icount, virtual_ns, host_ns;
    uint64_t segments; /* played to their ends */
    uint64_t wait_ns;  /* time in which the replay stood still because the log had not come yet */
} FeedPlayed;

typedef struct {
    uint64_t seq, icount, expected, actual;
} FeedDivergence;

/* Opens the feed on `stream_fd` (owned from now on). `until` is an instruction count, UINT64_MAX for none.
 * `on_first` is called once, from the feed's thread, when the first segment has come; `on_end` from whichever thread met
 * the end, with QEMU's locks held: it may only schedule. Returns the FILE for replay_file. Main thread. */
FILE *feed_open(int stream_fd, uint64_t until, void (*on_first)(void), void (*on_end)(void));

/* After FEED_UNTIL or FEED_FINAL: the next read goes on. Main thread, VM stopped. */
void feed_continue(uint64_t until);

FeedEnd feed_end(void);
FeedPlayed feed_played(void);
FeedDivergence feed_divergence(void);

/* Ends the feed's thread and closes stream and file. Main thread, VM stopped. */
void feed_close(FILE *file);

#endif
