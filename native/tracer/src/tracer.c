/*
 * trmig's tracer: a plugin inside a stock QEMU that lies dormant until it is told to record or replay the machine.
 *
 * It registers no callback on the guest's code, so that a dormant machine runs at full speed.
 * Options: socket=PATH (needed), chardev=NAME (repeatable: a chardev whose traffic belongs to the log).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tracer.h"

#include "../../core/events.h"
#include "chardevs.h"
#include "clock.h"
#include "control.h"
#include "mode.h"
#include "outside.h"
#include "pace.h"
#include "qemu.h"
#include "replay-hooks.h"
#include "replay-mutex.h"
#include "sleeps.h"
#include "wakeups.h"

#include <stdlib.h>
#include <string.h>

/* include/qemu/qemu-plugin.h, API version 4 (QEMU 10.0). */
typedef uint64_t qemu_plugin_id_t;
typedef struct {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus;
        int max_vcpus;
    } system;
} qemu_info_t;
typedef void (*qemu_plugin_vcpu_simple_cb_t)(qemu_plugin_id_t id, unsigned int vcpu_index);
extern void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_simple_cb_t cb);

__attribute__((visibility("default"))) int qemu_plugin_version = 4;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                                               char **argv);

static char *target;
const char *tracer_target(void) { return target; }

static int refuse(const char *why)
{
    fprintf(stderr, "trmig-tracer: %s\n", why);
    return -1;
}

/* The vCPU's thread, before it executes anything. */
static void vcpu_init(qemu_plugin_id_t id, unsigned int index)
{
    (void)id;
    CPUState *cpu = qemu_get_cpu((int)index);
    const char *why = abi_check_vcpu(cpu);
    if (why) {
        refuse(why);
        exit(1);
    }
    mode_adopt_vcpu(cpu);
}

/* While recording, a disk's completion or a packet waits in QEMU's queue for the vCPU's next round, and a vCPU that sleeps in
 * HLT goes round only when a timer wakes it: work for it wakes it now. Main thread, BQL and replay mutex held. */
static void wake_for_events(void)
{
    if (replay_has_events() && all_cpu_threads_idle()) {
        wakeups_vcpu();
    }
}

enum { SPIN_NS = 50 * 1000, NAP_US = 30 };

/* A main loop that polls for what the vCPU, or a disk, must do first keeps a core from them: after SPIN_NS of that it naps
 * between two looks. Main thread, BQL and replay mutex held. */
static void nap_without_progress(void)
{
    static unsigned seen_event;
    static uint64_t since_ns;
    const uint64_t now_ns = host_ns();
    if (replay_state.current_event != seen_event) {
        seen_event = replay_state.current_event;
        since_ns = now_ns;
    } else if (now_ns - since_ns > SPIN_NS) {
        bql_unlock();
        replay_mutex_unlock();
        g_usleep(NAP_US);
        replay_mutex_lock();
        bql_lock();
    }
}

/* While playing, the main loop must not sleep in real time on what the log tells already: it polls when the next event is
 * its own to consume, or when the vCPU sleeps, which only the main loop's next round can wake. Main thread, BQL and replay
 * mutex held. */
static void before_poll(Notifier *notifier, void *data)
{
    (void)notifier;
    MainLoopPoll *poll = data;
    control_open();
    outside_know_devices();
    if (poll->state != MAIN_LOOP_POLL_FILL) {
        sleeps_end();
        return;
    }
    if (replay_mode == REPLAY_MODE_RECORD) {
        wake_for_events();
        sleeps_begin();
    }
    if (replay_mode != REPLAY_MODE_PLAY || !replay_state.has_unread_data || replay_state.instruction_count != 0 ||
        replay_state.data_kind == TRMIG_EVENT_END) {
        return;
    }
    switch (replay_state.data_kind) {
    case TRMIG_EVENT_CLOCK_HOST:
    case TRMIG_EVENT_CLOCK_VIRTUAL_RT:
    case TRMIG_EVENT_CHECKPOINT_WARP_START:
    case TRMIG_EVENT_CHECKPOINT_CLOCK_HOST:
    case TRMIG_EVENT_CHECKPOINT_CLOCK_VIRTUAL_RT:
        break;
    default:
        if (!all_cpu_threads_idle()) {
            return;
        }
        break;
    }
    nap_without_progress();
    poll->timeout = 0;
}

static Notifier poll_notifier = {.notify = before_poll};

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *socket_path = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "socket=", 7) == 0) {
            socket_path = argv[i] + 7;
        } else if (strncmp(argv[i], "chardev=", 8) == 0) {
            if (!chardevs_add(argv[i] + 8)) {
                return refuse("too many chardevs");
            }
        } else {
            fprintf(stderr, "trmig-tracer: %s: no such option (socket=PATH, chardev=NAME)\n", argv[i]);
            return -1;
        }
    }
    if (!socket_path) {
        return refuse("the option socket=PATH is missing");
    }
    if (!info->system_emulation) {
        return refuse("this is user-mode emulation; there is no machine to record");
    }
    const char *why = abi_check_at_load();
    if (why) {
        return refuse(why);
    }
    why = replay_hooks_install();
    if (!why) {
        why = wakeups_install();
    }
    if (!why) {
        why = replay_mutex_install();
    }
    if (why) {
        return refuse(why);
    }
    target = g_strdup(info->target_name);
    why = control_start(socket_path);
    if (why) {
        return refuse(why);
    }
    pace_init();
    outside_init();
    main_loop_poll_add_notifier(&poll_notifier);
    qemu_plugin_register_vcpu_init_cb(id, vcpu_init);
    return 0;
}
