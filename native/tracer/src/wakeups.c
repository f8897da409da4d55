/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wakeups.h"

#include "../../core/events.h"
#include "patch.h"
#include "qemu.h"

bool wakeups_vcpu_is_next(void)
{
    switch (replay_state.data_kind) {
    case TRMIG_EVENT_INSTRUCTION:
    case TRMIG_EVENT_INTERRUPT:
    case TRMIG_EVENT_EXCEPTION:
    case TRMIG_EVENT_BH:
    case TRMIG_EVENT_BH_ONESHOT:
    case TRMIG_EVENT_INPUT:
    case TRMIG_EVENT_INPUT_SYNC:
    case TRMIG_EVENT_CHAR_READ:
    case TRMIG_EVENT_BLOCK:
    case TRMIG_EVENT_NET:
    case TRMIG_EVENT_RANDOM:
    case TRMIG_EVENT_CHECKPOINT_WARP_ACCOUNT:
    case TRMIG_EVENT_CHECKPOINT_CLOCK_VIRTUAL:
        return true;
    default:
        return false;
    }
}

static void nothing(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    (void)data;
}

void wakeups_vcpu(void) { async_run_on_cpu(qemu_get_cpu(0), nothing, (run_on_cpu_data){.host_ptr = NULL}); }

void wakeups_main_loop(void) { aio_notify(qemu_get_aio_context()); }

/* A timer of this clock has become the next one to fire. Any thread; the guest's clock: with the BQL. */
static void timer_notify_hook(void *opaque, int clock)
{
    (void)opaque;
    if (!use_icount || clock != QEMU_CLOCK_VIRTUAL) {
        qemu_notify_event();
    } else if (qemu_in_vcpu_thread()) {
        /* Its slice was to end at another timer. In a replay the log says where slices end. */
        if (replay_mode != REPLAY_MODE_PLAY) {
            qemu_cpu_kick(qemu_get_cpu(0));
        }
    } else if (replay_mode != REPLAY_MODE_PLAY || all_cpu_threads_idle()) {
        wakeups_vcpu();
    }
}

/* Whoever runs timers of this clock shall look at them. Any thread; the guest's clock: with the BQL. */
static void clock_notify_hook(int clock)
{
    if (clock == QEMU_CLOCK_VIRTUAL && replay_mode != REPLAY_MODE_NONE && qemu_in_vcpu_thread()) {
        /* Who calls this runs them next. */
        if (replay_mode == REPLAY_MODE_PLAY && !wakeups_vcpu_is_next()) {
            wakeups_main_loop();
        }
        return;
    }
    timer_notify_hook(NULL, clock);
    if (qemu_get_aio_context()) {
        aio_notify(qemu_get_aio_context());
        aio_notify(iohandler_get_aio_context());
    }
}

const char *wakeups_install(void)
{
    const Patch patches[] = {
        {(void *)qemu_timer_notify_cb, (void *)timer_notify_hook},
        {(void *)qemu_clock_notify, (void *)clock_notify_hook},
    };
    return patch_functions(patches, G_N_ELEMENTS(patches));
}
