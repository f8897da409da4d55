/*
 * The replay mutex, which main loop and vCPU take in turn, first come, first served. In QEMU's own a thread that must wait sleeps at
 * once, and is woken while the lock inside is still held: three switches of context for a wait of a few microseconds, at each
 * event. This one spins first, and wakes when there is something to have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_REPLAY_MUTEX_H
#define TRMIG_REPLAY_MUTEX_H

/* Puts it in the place of QEMU's own. Main thread, before the machine runs. Returns NULL, or why not. */
const char *replay_mutex_install(void);

#endif
