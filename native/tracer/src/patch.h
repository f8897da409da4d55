/*
 * Puts a function of ours in the place of one of QEMU's. Calls inside the binary do not go through the PLT, so a symbol of
 * ours cannot come before QEMU's: the function's first instructions become a jump.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_PATCH_H
#define TRMIG_PATCH_H

#include <stddef.h>

/* From now on whoever calls `function` runs `replacement`, which must have its type and never call it. */
typedef struct {
    void *function, *replacement;
} Patch;

/* Does so with each of them, in order, up to the first that fails. While the plugin is being loaded: no other thread may be
 * inside. Returns NULL, or one sentence saying why. */
const char *patch_functions(const Patch *patches, size_t count);

#endif
