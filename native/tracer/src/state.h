/*
 * The machine's state as bytes and as digests. All of it wants the VM stopped, but state_registers64.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_STATE_H
#define TRMIG_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t low, high;
} Digest128;

/* XXH3-64 over the vCPU's registers in the gdb stub's order, which is architectural: it does not depend on how QEMU cut
 * the code into translation blocks. vCPU thread between two slices, or any thread holding the BQL of a stopped VM. */
uint64_t state_registers64(void);

/* Saves all device states, as QEMU's snapshots do. Returns NULL and sets `why` on failure. Main thread, BQL, stopped. */
GByteArray *state_save(const char **why);

/* Loads what state_save made. Returns NULL, or why it failed. Main thread, BQL, stopped. */
const char *state_load(const uint8_t *bytes, size_t size);

/* XXH3-128 over the device states, with the two host clock offsets of the timers' section held at 0: they are the only
 * state that is the host's. What reads a clock while saving must get the log's last value: mode.c arranges that. */
bool state_devices128(Digest128 *digest, const char **why);

/* XXH3-128 over all RAM blocks in ram_foreach's order. Main thread, stopped. */
Digest128 state_ram128(void);

#endif
