/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtqueues.h"

#include "qemu.h"

static int forget_those_of(Object *object, void *opaque)
{
    (void)opaque;
    VirtIODevice *device = (VirtIODevice *)object_dynamic_cast(object, "virtio-device");
    for (int i = 0; device && i < virtio_get_num_queues(device); i++) {
        virtio_queue_invalidate_signalled_used(device, i);
        virtio_queue_set_notification(virtio_get_queue(device, i), 1);
    }
    return 0;
}

void virtqueues_forget(void) { object_child_foreach_recursive(object_get_root(), forget_those_of, NULL); }
