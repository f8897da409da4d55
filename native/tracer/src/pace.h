/*
 * Pacing: the vCPU's thread sleeps a share of each period, between two slices and without any of QEMU's locks.
 * Not QEMU's own throttle: its VIRTUAL_RT timer would be logged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_PACE_H
#define TRMIG_PACE_H

#include <stdint.h>

void pace_init(void);
/* The share of each period that the vCPU sleeps, 0 … 0.95. Any thread. */
void pace_set(double fraction);
double pace_get(void);
/* Ends the sleep that is under way. Any thread. */
void pace_interrupt(void);
/* Time slept since the process began. Any thread. */
uint64_t pace_slept_ns(void);

#endif
