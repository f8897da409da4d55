/*
 * How a device state begins, QEMU's magic number and version, big-endian. Looked at before QEMU is given anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_STATE_HEADER_H
#define TRMIG_STATE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STATE_HEADER_BYTES = 8 };

/* Whether these bytes are a device state of the only version there is, and more than its header. */
static inline bool state_begins(const uint8_t *bytes, size_t size)
{
    static const uint8_t header[STATE_HEADER_BYTES] = {'Q', 'E', 'V', 'M', 0, 0, 0, 3};
    return size > sizeof(header) && memcmp(bytes, header, sizeof(header)) == 0;
}

#endif
