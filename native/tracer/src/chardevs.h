/*
 * The chardevs whose traffic belongs to the log: the guest's serial lines, never a monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_CHARDEVS_H
#define TRMIG_CHARDEVS_H

#include <stdbool.h>

/* Names one. The log knows them by their order, so it must be the same on both sides. At load. */
bool chardevs_add(const char *name);

/* Finds those that were named; at load they do not exist yet. Returns NULL or why not. Main thread. */
const char *chardevs_find(void);

/* Makes QEMU log them, once. In record or play mode, main thread. */
void chardevs_register(void);

/* While playing, output that the guest has written once already must not be written to the log files again. */
void chardevs_mute(void);
void chardevs_unmute(void);

#endif
