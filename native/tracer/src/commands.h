/*
 * The commands of docs/tracer-protocol.md: check the arguments and the mode, call, answer. One file a side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_COMMANDS_H
#define TRMIG_COMMANDS_H

#include "control.h"
#include "mode.h"

enum { LEASE_MS_MAX = 600000, SHIFT_MAX = 10 };

/* --- what all of them use --- */

/* Fails the request and returns false when the tracer is not in that mode, or the guest runs. */
bool request_needs_mode(Request *request, Mode wanted);
bool request_needs_stopped(Request *request);
/* Fails the request when there is a reason to. */
void request_fail_if(Request *request, const char *why);
void request_reply_pauses(Request *request, const Pauses *pauses);
void request_reply_frozen(Request *request, pid_t pid);
void request_reply_digests(Request *request, uint64_t registers, const Digest128 *devices);
/* The stream that the argument `stream` names, the caller's from now on; fails the request and returns -1 without one. */
int request_stream(Request *request);
/* The arguments `segmentMs` and `segmentBytes`; fails the request and returns false when one is out of bounds. */
bool request_segment_bounds(Request *request, int64_t *ms, int64_t *bytes);

/* Remembers a pause of the guest for `status`. */
void note_pause(const char *what, uint64_t ns);

/* A stop's lease; 0 ends it. Any thread. */
void lease_set(int64_t ms);
/* host_ns() at which it runs out, or 0. */
uint64_t lease_get(void);

/* Why the log was lost since the last arming, or NULL. */
const char *log_lost(void);
void log_lost_set(const char *why);

/* --- the source's side: commands-source.c --- */
void run_probe(Request *request);
void run_arm(Request *request);
void run_disarm(Request *request);
void run_finish(Request *request);
void run_resume(Request *request);
void run_relinquish(Request *request);
void run_reclaim(Request *request);
void run_stop(Request *request);
void run_cont(Request *request);

/* --- the destination's side: commands-destination.c --- */
void run_restore(Request *request);
void run_play(Request *request);
void run_continue(Request *request);
void run_live(Request *request);
/* Tells the clients how far the replay is, when that has changed. Control thread. */
void report_played(void);

#endif
