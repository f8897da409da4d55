/*
 * What others than trmig do to the machine: a person at QEMU's monitor, a disk that is full, the guest that powers itself off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_OUTSIDE_H
#define TRMIG_OUTSIDE_H

#include <stdbool.h>

/* Main thread, before the machine runs. */
void outside_init(void);

/* The machine is built: these are its devices. Main thread, BQL held; does nothing after the first time. */
void outside_know_devices(void);

/* NULL, or one sentence: the machine has other devices than it was built with, so that no twin of it is one. Main thread, BQL
 * held. */
const char *outside_devices_changed(void);

/* Stops the VM as `state`; it is no news to anybody. Main thread, BQL held. */
void outside_vm_stop(const char *state);

#endif
