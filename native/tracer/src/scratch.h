/*
 * What QEMU saves with a CPU although it may differ between two machines that are the same:
 *
 * - an Arm CPU's env.exception.syndrome, written anew whenever QEMU finds its way back from a helper into the guest's code, and
 *   before each exception;
 * - `halted` while an interrupt is pending: the vCPU's loop clears it when it looks, which a vCPU that was stopped has not done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_SCRATCH_H
#define TRMIG_SCRATCH_H

#include <stdint.h>

typedef struct {
    uint32_t syndrome, halted;
} Scratch;

/* Holds them at 0 for a digest. Main thread, VM stopped. Returns what they were. */
Scratch scratch_hide(void);

/* Undoes it. */
void scratch_restore(const Scratch *scratch);

#endif
