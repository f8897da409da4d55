/*
 * Guest RAM and its frozen copy-on-write image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_RAM_H
#define TRMIG_RAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Appends `[{"name":…,"address":…,"bytes":…,"pageBytes":…}, …]`. Any thread after start-up (blocks do not change). */
void ram_describe(GString *json);

/* Where a walk over all RAM stands. */
typedef struct {
    unsigned block;  /* in the order of ram_describe; past the last one at the end */
    uint64_t offset; /* in bytes */
} RamPosition;

/* Puts huge pages back together that copy-on-write has split: a fork copies one entry for each page that is mapped, and a
 * guest of 4 GiB in 4 KiB pages stands still for a tenth of a second. Goes on from `at` for about `budget_ns`, moves `at`, and
 * returns the bytes that are huge pages again. Does nothing where the kernel cannot tell or mend. The guest runs. Control
 * thread. */
uint64_t ram_collapse(RamPosition *at, uint64_t budget_ns);

/* Forks a child that keeps RAM as it is now and only sleeps. Main thread, VM stopped. Returns -1 on failure. */
pid_t ram_freeze(void);

/* Ends a frozen child and waits until its memory is gone, which can take milliseconds: not for the main loop.
 * Returns false when `pid` is not one. Control thread. */
bool ram_thaw(pid_t pid);

/* Whose a frozen child is: it ends with that client. Any thread. */
void ram_own(pid_t pid, uint64_t client);
/* Ends all of a client's. Control thread. */
void ram_thaw_of(uint64_t client);

#endif
