/*
 * Bringing a guest's devices to rest, so that its state is whole and its log has an end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_QUIESCE_H
#define TRMIG_QUIESCE_H

#include <stdbool.h>

/* Logs and runs what waits in QEMU's queue for the vCPU's next round, here and now; on the vCPU's thread, as when it is
 * replayed, since an interrupt that another thread raises leaves another mark in the CPU. Main thread, replay mutex held.
 * Returns whether there was anything. */
bool quiesce_queue(void);

/* Lets requests that are in flight end, and while armed their events run and be logged: under record/replay QEMU's own drain
 * does nothing. Main thread, VM stopped. Returns false when they do not come to rest. */
bool quiesce(bool armed);

/* Drops what came for a nic while the machine stood still: it waits in QEMU, in neither the device state nor a log that begins
 * now. It is lost as what QEMU drops when it stops a machine. Main thread, VM stopped. */
void quiesce_nics(void);

#endif
