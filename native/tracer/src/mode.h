/*
 * dormant <-> armed <-> playing: the flips of a running QEMU into icount and record/replay and back.
 *
 * Everything here runs in the main loop, inside a bottom half (BQL held), unless a comment says otherwise. A flip itself
 * runs on the vCPU's thread while the VM is stopped: the vCPU's loop looks at the mode several times a round and must not
 * see it change in between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_MODE_H
#define TRMIG_MODE_H

#include "feed.h"
#include "qemu.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum { MODE_DORMANT, MODE_ARMED, MODE_PLAYING } Mode;

typedef struct {
    uint64_t stop_ns, quiesce_ns, flip_ns, state_ns, freeze_ns, flush_ns, digest_ns, start_ns, total_ns;
} Pauses;

typedef struct {
    Pauses pauses;
    GByteArray *state; /* owned by the caller; the tracer's state blob: a header and the device state */
    pid_t frozen;
    uint64_t virtual_ns;
} ArmResult;

typedef struct {
    Pauses pauses;
    uint64_t host_ns; /* when the stop began */
    uint64_t icount, virtual_ns;
    uint64_t registers;
    Digest128 devices;
} FinishResult;

/* Any thread. */
Mode mode_get(void);
const char *mode_name(Mode mode);

/* vCPU thread at its birth: from here on the guest's TSC is the virtual clock in ns, whatever the mode, so that it is
 * continuous across flips. */
void mode_adopt_vcpu(CPUState *cpu);

/* All below return NULL, or one sentence saying why nothing was done. */

const char *mode_arm(int shift, int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, bool checkpoint,
                     ArmResult *result);
/* Closes the log and goes on dormant. The guest runs afterwards, or, when it was stopped by mode_stop, stays stopped. */
const char *mode_disarm(Pauses *pauses, uint64_t *icount);
/* Stops the armed guest for good or until mode_disarm: final segment out, digests taken. */
const char *mode_finish(FinishResult *result);
/* The stopped guest of mode_finish will never run here again. */
const char *mode_relinquish(void);
/* Undoes mode_relinquish: the guest may be disarmed, and so run here, again. */
const char *mode_reclaim(void);

const char *mode_stop(uint64_t *ns);
const char *mode_cont(void);
bool mode_finished(void);
bool mode_relinquished(void);

const char *mode_restore(int shift, const uint8_t *blob, size_t size);
/* `on_first` and `on_end` as for feed_open. */
const char *mode_play(int stream_fd, uint64_t until, void (*on_first)(void), void (*on_end)(void));
/* The first segment is there: starts the vCPU. */
void mode_play_start(void);
/* The feed has met its end: stops the vCPU at that instruction. */
void mode_play_stop(void);
/* Plays on, after `until` or after a final segment that others follow. */
const char *mode_continue(uint64_t until);
/* Dormant but for the counting of instructions, which counting_end ends: the code that the replay has translated counts
 * them, and is what the guest goes on with at once. */
const char *mode_live(Pauses *pauses, uint64_t *virtual_ns);
/* Goes live armed: what the guest does from here on continues the log that was played. */
const char *mode_live_armed(int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, Pauses *pauses,
                            uint64_t *virtual_ns);

/* After mode_live or mode_live_armed: closes the log that was played. The guest runs meanwhile. Control thread. */
void mode_close_feed(void);
/* After mode_disarm: gives what is left of the log a moment to be sent, then closes it. The guest runs meanwhile. Does
 * nothing when no log has ended. Control thread. */
void mode_close_tap(void);

/* Stopped. `icount` is the log's position (0 while dormant). */
const char *mode_digest(uint64_t *icount, uint64_t *registers, Digest128 *devices);

/* The CPU time that the vCPU's thread has used, ns. Any thread. */
uint64_t mode_vcpu_busy_ns(void);

#endif
