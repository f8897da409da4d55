/*
 * The main loop looks at the host's clocks in each of its rounds: to see how long it may sleep, and whether a timer of theirs is
 * due. QEMU logs every look; but what the guest sees depends only on those that find a timer due.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_SLEEPS_H
#define TRMIG_SLEEPS_H

#include <stdbool.h>
#include <stdint.h>

/* While recording: the main loop now looks how long it may sleep. Main thread, replay mutex held. */
void sleeps_begin(void);
/* It has slept. */
void sleeps_end(void);

/* Whether a timer of this clock (QEMU_CLOCK_HOST, QEMU_CLOCK_VIRTUAL_RT) is due, by a look that is not logged. Main thread. */
bool sleeps_due(int clock);

/* Whether the warp of the guest's clock, which the main loop is about to begin because the vCPU sleeps, is to begin now. While one
 * is under way that ends no later, QEMU's code changes nothing: its reading of VIRTUAL_RT, which follows, is then a look.
 * Main thread, replay mutex held, while recording. */
bool sleeps_warp_begins(void);

/* Whether this reading of that clock is such a look, and so no event. Replay mutex held. */
bool sleeps_is_look(int clock);

#endif
