/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flip.h"

#include "qemu.h"

#include <string.h>

static bool icount_ready, mutex_ready;
static int icount_shift;
static struct {
    int mode;
    FILE *log;
    int64_t clocks[2];
} replay_half;

/* --- on the vCPU's thread --- */

static void icount_on_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)data;
    const int64_t now = cpu_get_clock();
    *timers_shift() = (int16_t)icount_shift;
    *timers_i64(TIMERS_ICOUNT) = 0;
    *timers_i64(TIMERS_ICOUNT_BIAS) = now;
    *timers_i64(TIMERS_WARP_START) = -1;
    *cpu_tcg_cflags(cpu) |= CF_USE_ICOUNT;
    *cpu_cflags_next_tb(cpu) = UINT32_MAX;
    *accel_op(OPS_HANDLE_INTERRUPT) = (void *)icount_handle_interrupt;
    *accel_op(OPS_GET_VIRTUAL_CLOCK) = (void *)icount_get;
    *accel_op(OPS_GET_ELAPSED_TICKS) = (void *)icount_get;
    use_icount = 1;
}

static void icount_off_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)data;
    const int64_t now = icount_get();
    replay_mode = REPLAY_MODE_NONE;
    use_icount = 0;
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = now; /* the ticks are disabled: the clock is its offset */
    *timers_i64(TIMERS_WARP_START) = -1;
    *cpu_tcg_cflags(cpu) &= ~(uint32_t)CF_USE_ICOUNT;
    *cpu_cflags_next_tb(cpu) = UINT32_MAX;
    *accel_op(OPS_HANDLE_INTERRUPT) = (void *)tcg_handle_interrupt;
    *accel_op(OPS_GET_VIRTUAL_CLOCK) = NULL;
    *accel_op(OPS_GET_ELAPSED_TICKS) = (void *)cpu_get_clock;
}

static void replay_on_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    (void)data;
    memset(&replay_state, 0, sizeof(replay_state));
    replay_state.data_kind = (unsigned int)-1;
    replay_state.cached_clock[0] = replay_half.clocks[0];
    replay_state.cached_clock[1] = replay_half.clocks[1];
    replay_init_events();
    replay_mode = replay_half.mode;
    replay_file = replay_half.log;
    if (!mutex_ready) {
        replay_mutex_init(); /* leaves the caller holding it */
        replay_mutex_unlock();
        mutex_ready = true;
    }
    replay_enable_events();
}

static void replay_off_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    (void)data;
    /* As for recording on: the ticks are disabled, and the clock is its offset. */
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = replay_state.cached_clock[1];
    *timers_i64(TIMERS_WARP_START) = -1;
    replay_mode = REPLAY_MODE_NONE;
}

static void record_on_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    (void)data;
    /* The log's last reading of the clock: it goes on from there. The ticks are disabled: the clock is its offset. */
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = replay_state.cached_clock[1];
    replay_state.data_kind = (unsigned int)-1;
    replay_state.has_unread_data = false;
    replay_state.instruction_count = 0;
    replay_state.read_event_id = (uint64_t)-1;
    replay_file = replay_half.log;
    replay_mode = REPLAY_MODE_RECORD;
}

/* --- on the main thread --- */

void flip_icount_on(int shift)
{
    if (!icount_ready) {
        QemuOpts *opts = qemu_opts_create(qemu_find_opts("icount"), NULL, 0, NULL);
        qemu_opt_set(opts, "shift", "0", NULL);
        icount_configure(opts, NULL); /* for the warp timer; all else is set by the flip */
        use_icount = 0;
        icount_ready = true;
    }
    icount_shift = shift;
    run_on_cpu(qemu_get_cpu(0), icount_on_vcpu, (run_on_cpu_data){.host_ptr = NULL});
}

void flip_icount_off(void) { run_on_cpu(qemu_get_cpu(0), icount_off_vcpu, (run_on_cpu_data){.host_ptr = NULL}); }

void flip_replay_on(int mode, FILE *log, const int64_t clocks[2])
{
    replay_half.mode = mode;
    replay_half.log = log;
    replay_half.clocks[0] = clocks[0];
    replay_half.clocks[1] = clocks[1];
    run_on_cpu(qemu_get_cpu(0), replay_on_vcpu, (run_on_cpu_data){.host_ptr = NULL});
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
}

void flip_play_to_record(FILE *log)
{
    replay_half.log = log;
    replay_mutex_unlock(); /* before run_on_cpu: the vCPU's loop may be waiting for it */
    run_on_cpu(qemu_get_cpu(0), record_on_vcpu, (run_on_cpu_data){.host_ptr = NULL});
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
}

void flip_replay_off(void)
{
    replay_finish_events();
    replay_file = NULL;
    replay_mutex_unlock(); /* before run_on_cpu: the vCPU's loop may be waiting for it */
    run_on_cpu(qemu_get_cpu(0), replay_off_vcpu, (run_on_cpu_data){.host_ptr = NULL});
}

void flip_off(void)
{
    flip_replay_off();
    flip_icount_off();
}
