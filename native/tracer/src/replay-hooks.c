/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay-hooks.h"

#include "../../core/events.h"
#include "mode.h"
#include "patch.h"
#include "qemu.h"
#include "sleeps.h"
#include "tap.h"
#include "wakeups.h"

/* vCPU thread, replay mutex held unless dormant: the guest is about to take an exception. False: not yet, the log has
 * another event before it. */
static bool exception_hook(void)
{
    switch (replay_mode) {
    case REPLAY_MODE_RECORD:
        tap_exception((uint64_t)icount_get_raw());
        return true;
    case REPLAY_MODE_PLAY:
        if (replay_has_exception()) {
            replay_finish_event();
            return true;
        }
        /* Within a run of instructions nothing else can come first; at its end something does. */
        return replay_state.instruction_count > 0;
    default:
        return true;
    }
}

/* Replay mutex held: `icount` instructions have been executed. */
static void advance_hook(uint64_t icount)
{
    const int advanced = (int)(icount - replay_state.current_icount);
    g_assert(advanced >= 0);
    if (advanced == 0) {
        return;
    }
    if (replay_mode == REPLAY_MODE_RECORD) {
        replay_put_event(TRMIG_EVENT_INSTRUCTION);
        replay_put_dword((unsigned)advanced);
        replay_state.current_icount += (uint64_t)advanced;
    } else if (replay_mode == REPLAY_MODE_PLAY) {
        replay_state.instruction_count -= advanced;
        replay_state.current_icount += (uint64_t)advanced;
        if (replay_state.instruction_count == 0) {
            g_assert(replay_state.data_kind == TRMIG_EVENT_INSTRUCTION);
            replay_finish_event();
            if (!wakeups_vcpu_is_next() || all_cpu_threads_idle()) {
                wakeups_main_loop();
            }
        }
    }
}

/* Replay mutex held while recording. QEMU's own would ask for the mutex that replay-mutex.c has replaced. */
static void save_instructions_hook(void)
{
    if (replay_file && replay_mode == REPLAY_MODE_RECORD) {
        advance_hook((uint64_t)icount_get_raw());
    }
}

/* The vCPU's loop goes round once or twice while it is being paused. What it would log then could come before or after what
 * a reset, which pauses it, logs on the main thread: it is left for the first round afterwards. vCPU thread or any. */
static bool is_paused_vcpu(void) { return qemu_in_vcpu_thread() && cpu_is_stopped(qemu_get_cpu(0)); }

/* While recording: whether what this checkpoint stands before happens now. */
static bool happens_now(unsigned event)
{
    if (mode_finished()) {
        return false; /* A guest that is stopped just when it asks for its reset gets it where it goes on. */
    }
    switch (event) {
    case TRMIG_EVENT_CHECKPOINT_WARP_START:
        return sleeps_warp_begins();
    case TRMIG_EVENT_CHECKPOINT_CLOCK_HOST:
        return sleeps_due(QEMU_CLOCK_HOST);
    case TRMIG_EVENT_CHECKPOINT_CLOCK_VIRTUAL_RT:
        return sleeps_due(QEMU_CLOCK_VIRTUAL_RT);
    default:
        return true;
    }
}

/* Replay mutex held unless dormant. False: not yet. */
static bool checkpoint_hook(unsigned checkpoint)
{
    if (replay_mode == REPLAY_MODE_NONE) {
        return true;
    }
    const unsigned event = TRMIG_EVENT_CHECKPOINT_WARP_START + checkpoint; /* QEMU counts them from there */
    if (is_paused_vcpu() || (replay_mode == REPLAY_MODE_RECORD && !happens_now(event))) {
        return false;
    }
    replay_save_instructions();
    if (replay_mode == REPLAY_MODE_RECORD) {
        replay_put_event((uint8_t)event);
        return true;
    }
    if (!replay_next_event_is((int)event)) {
        return false;
    }
    replay_finish_event();
    return true;
}

/* Replay mutex held. While recording; returns `clock_ns`. */
static int64_t save_clock_hook(int kind, int64_t clock_ns, int64_t raw_icount)
{
    if (!sleeps_is_look(QEMU_CLOCK_HOST + kind)) {
        advance_hook((uint64_t)raw_icount);
        replay_put_event((uint8_t)(TRMIG_EVENT_CLOCK_HOST + kind));
        replay_put_qword(clock_ns);
    }
    return clock_ns;
}

/* vCPU thread, replay mutex held unless dormant. */
static void async_events_hook(void)
{
    if (replay_mode == REPLAY_MODE_NONE || is_paused_vcpu()) {
        return;
    }
    replay_save_instructions();
    if (replay_mode == REPLAY_MODE_RECORD) {
        replay_save_events();
    } else {
        replay_read_events();
    }
}

/* vCPU thread, BQL held. While the machine is stopped none of the guest's timers fires: one that is overdue when the machine is
 * armed would, between the saving of its state and the log's beginning, and no copy would hear of it. */
static void handle_deadline_hook(void)
{
    if (runstate_is_running() && qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, QEMU_TIMER_ATTR_ALL) == 0) {
        qemu_clock_notify(QEMU_CLOCK_VIRTUAL);
        qemu_clock_run_timers(QEMU_CLOCK_VIRTUAL);
    }
}

typedef struct {
    run_on_cpu_func func;
    run_on_cpu_data data;
    bool done;
} Errand;

static GMutex errand_lock;
static GCond errand_done;

/* vCPU thread. */
static void run_errand(CPUState *cpu, run_on_cpu_data data)
{
    Errand *errand = data.host_ptr;
    errand->func(cpu, errand->data);
    g_mutex_lock(&errand_lock);
    errand->done = true;
    g_cond_broadcast(&errand_done);
    g_mutex_unlock(&errand_lock);
}

/* BQL held, and released while it waits. */
static void run_on_cpu_hook(CPUState *cpu, run_on_cpu_func func, run_on_cpu_data data)
{
    if (qemu_in_vcpu_thread() || (replay_mutex_locked() && cpu_is_stopped(cpu))) {
        func(cpu, data);
        return;
    }
    Errand errand = {.func = func, .data = data};
    async_run_on_cpu(cpu, run_errand, (run_on_cpu_data){.host_ptr = &errand});
    bql_unlock();
    g_mutex_lock(&errand_lock);
    while (!errand.done) {
        g_cond_wait(&errand_done, &errand_lock);
    }
    g_mutex_unlock(&errand_lock);
    bql_lock();
}

const char *replay_hooks_install(void)
{
    const Patch patches[] = {
        {(void *)replay_exception, (void *)exception_hook},
        {(void *)replay_advance_current_icount, (void *)advance_hook},
        {(void *)replay_save_instructions, (void *)save_instructions_hook},
        {(void *)replay_checkpoint, (void *)checkpoint_hook},
        {(void *)replay_save_clock, (void *)save_clock_hook},
        {(void *)replay_async_events, (void *)async_events_hook},
        {(void *)icount_handle_deadline, (void *)handle_deadline_hook},
        {(void *)run_on_cpu, (void *)run_on_cpu_hook},
    };
    return patch_functions(patches, G_N_ELEMENTS(patches));
}
