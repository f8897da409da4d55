/*
 * What a virtqueue knows beside the device state. QEMU saves neither whether it has told the guest of what it used last
 * (`signalled_used_valid`) nor whether it asks the guest for notifications; loading sets both anew (hw/virtio/virtio.c,
 * virtio_load). A machine that went on with other values than its copy would raise an interrupt less.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_VIRTQUEUES_H
#define TRMIG_VIRTQUEUES_H

/* Gives all virtqueues what loading gives them. Before RAM is frozen, which it writes to. Main thread, VM stopped. */
void virtqueues_forget(void);

#endif
