/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay-hooks.h"

#include "../../core/events.h"
#include "patch.h"
#include "qemu.h"
#include "tap.h"

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

static bool is_for_vcpu(unsigned event)
{
    return event == TRMIG_EVENT_INTERRUPT || event == TRMIG_EVENT_EXCEPTION || event == TRMIG_EVENT_RANDOM ||
           event == TRMIG_EVENT_CHECKPOINT_WARP_ACCOUNT;
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
            if (!is_for_vcpu(replay_state.data_kind) || all_cpu_threads_idle()) {
                qemu_notify_event();
            }
        }
    }
}

const char *replay_hooks_install(void)
{
    const char *why = patch_function((void *)replay_exception, (void *)exception_hook);
    return why ? why : patch_function((void *)replay_advance_current_icount, (void *)advance_hook);
}
