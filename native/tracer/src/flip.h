/*
 * The flip of a stopped QEMU between plain TCG and icount + record/replay, in two halves each way: the device state is
 * saved and loaded between them, when the clock is the counted one already and no log is open yet.
 *
 * The flips themselves run on the vCPU's thread: its loop looks at the mode several times a round and must not see it
 * change in between. All functions here: main thread, BQL held, VM stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_FLIP_H
#define TRMIG_FLIP_H

#include <stdint.h>
#include <stdio.h>

/* The icount half: the virtual clock goes on from where it is, at 2^shift ns an instruction. */
void flip_icount_on(int shift);
void flip_icount_off(void);

/* The record or play half (REPLAY_MODE_…): `log` becomes QEMU's log, `clocks` what a clock read returns before the first
 * logged one. Returns with the replay mutex held, as the main loop's iteration holds it in these modes. */
void flip_replay_on(int mode, FILE *log, const int64_t clocks[2]);

/* From playing on to recording, at the instruction where the log that was played ended: `log` is what is written from here
 * on. Clocks, counters and what has been registered with the log stay. The replay mutex is held, before and after. */
void flip_play_to_record(FILE *log);

/* The record or play half back: what is left is icount alone. The replay mutex is held, and is no more afterwards; `log` is the
 * caller's again. */
void flip_replay_off(void);

/* Both halves back to plain TCG, else as flip_replay_off. */
void flip_off(void);

#endif
