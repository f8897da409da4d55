/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outside.h"

#include "control.h"
#include "mode.h"
#include "qemu.h"

typedef struct {
    uint64_t count, sum; /* of them, and of what their addresses are hashed to */
} DeviceSet;

static DeviceSet built;
static bool known, by_us;

/* Main thread, BQL held. */
static int add_device(Object *object, void *opaque)
{
    DeviceSet *set = opaque;
    if (object_dynamic_cast(object, "device")) {
        set->count++;
        set->sum += (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;
    }
    return 0;
}

static DeviceSet devices_now(void)
{
    DeviceSet set = {0, 0};
    object_child_foreach_recursive(object_get_root(), add_device, &set);
    return set;
}

void outside_know_devices(void)
{
    if (!known) {
        built = devices_now();
        known = true;
    }
}

const char *outside_devices_changed(void)
{
    const DeviceSet now = devices_now();
    return now.count == built.count && now.sum == built.sum
               ? NULL
               : "a device was added to the machine or removed from it since it was started";
}

void outside_vm_stop(const char *state)
{
    by_us = true;
    vm_stop(run_state(state));
    by_us = false;
}

/* Main thread, BQL held: the machine was stopped, or goes on. */
static void on_change(void *unused, bool running, int state)
{
    (void)unused;
    if (running || by_us || mode_get() != MODE_ARMED || mode_finished()) {
        return;
    }
    char *data = g_strdup_printf("\"state\":\"%s\"", RunState_lookup.array[state]);
    control_event("stopped", data);
    g_free(data);
}

/* Main thread: QEMU ends in order. */
static void on_shutdown(Notifier *unused, void *cause)
{
    (void)unused;
    char *data = g_strdup_printf("\"cause\":\"%s\"", ShutdownCause_lookup.array[*(const int *)cause]);
    control_event("ended", data);
    g_free(data);
}

static Notifier shutdown_notifier = {.notify = on_shutdown};

void outside_init(void)
{
    qemu_add_vm_change_state_handler(on_change, NULL);
    qemu_register_shutdown_notifier(&shutdown_notifier);
}
