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
