/*
 * The only place that decides whether this QEMU is one the tracer understands.
 *
 * Layouts are private to QEMU, so none is believed: each offset is used through an exported function whose result must
 * show it (write the field, ask the function), or is derived from what an exported function does to scratch memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu.h"

#include <string.h>

static size_t tcg_cflags_offset;
static char *version;

const char *qemu_version_string(void) { return version; }
uint32_t *cpu_tcg_cflags(CPUState *cpu) { return (uint32_t *)((uint8_t *)cpu + tcg_cflags_offset); }
uint32_t *cpu_cflags_next_tb(CPUState *cpu) { return (uint32_t *)((uint8_t *)cpu + CPU_CFLAGS_NEXT_TB); }

int run_state(const char *name)
{
    for (int i = 0; i < RunState_lookup.size; i++) {
        if (strcmp(RunState_lookup.array[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *missing_symbol(void)
{
#define CHECK(type, name, arguments)                                                                                   \
    if (!(void *)name) {                                                                                               \
        return #name;                                                                                                  \
    }
    QEMU_FUNCTIONS(CHECK)
#undef CHECK
    const struct {
        const void *address;
        const char *name;
    } variables[] = {
        {&replay_mode, "replay_mode"},    {&replay_file, "replay_file"},
        {&replay_state, "replay_state"},  {timers_state, "timers_state"},
        {&use_icount, "use_icount"},      {&RunState_lookup, "RunState_lookup"},
        {main_loop_tlg, "main_loop_tlg"}, {&ShutdownCause_lookup, "ShutdownCause_lookup"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
        if (!variables[i].address) {
            return variables[i].name;
        }
    }
    return NULL;
}

/* Writes each field of TimersState and asks the exported reader for it. Runs before anything uses the timers. */
static bool timers_layout_holds(void)
{
    const int64_t icount = *timers_i64(TIMERS_ICOUNT);
    const int64_t bias = *timers_i64(TIMERS_ICOUNT_BIAS);
    const int64_t clock = *timers_i64(TIMERS_CPU_CLOCK_OFFSET);
    const int16_t shift = *timers_shift();
    bool holds = true;

    *timers_i64(TIMERS_ICOUNT) = 12345;
    holds = holds && icount_get_raw() == 12345;
    *timers_shift() = 5;
    holds = holds && icount_to_ns(3) == 3 << 5;
    *timers_i64(TIMERS_ICOUNT_BIAS) = 987654321;
    holds = holds && icount_get() == 987654321 + (12345LL << 5);
    /* With the ticks disabled, as they are before the machine starts, the clock is its offset. */
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = 424242;
    holds = holds && cpu_get_clock() == 424242;

    *timers_i64(TIMERS_ICOUNT) = icount;
    *timers_i64(TIMERS_ICOUNT_BIAS) = bias;
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = clock;
    *timers_shift() = shift;
    return holds;
}

static bool replay_layout_holds(void)
{
    const ReplayState saved = replay_state;
    bool holds = true;

    replay_state.read_event_id = 7;
    replay_init_events();
    holds = holds && replay_state.read_event_id == UINT64_MAX;
    replay_state.instruction_count = 0;
    replay_state.data_kind = 39;
    holds = holds && replay_next_event_is(39) && !replay_next_event_is(38);
    replay_state.instruction_count = 1;
    replay_state.data_kind = 0;
    holds = holds && replay_next_event_is(0) && !replay_next_event_is(39);
    replay_state = saved;
    return holds;
}

/* tcg_cflags_set(cpu, bit) does `cpu->tcg_cflags |= bit` and nothing else: it shows the offset on scratch memory. */
static bool find_tcg_cflags(void)
{
    const size_t scratch_bytes = 64 * 1024;
    const uint32_t bit = 0x40000000;
    uint8_t *scratch = g_malloc0(scratch_bytes);
    size_t found = 0, hits = 0;

    tcg_cflags_set((CPUState *)scratch, bit);
    for (size_t i = 0; i + 4 <= scratch_bytes; i += 4) {
        uint32_t word;
        memcpy(&word, scratch + i, sizeof(word));
        if (word == bit) {
            found = i;
        }
        hits += word != 0;
    }
    g_free(scratch);
    tcg_cflags_offset = found;
    return hits == 1 && found > 0;
}

const char *abi_check_at_load(void)
{
    const char *missing = missing_symbol();
    if (missing) {
        return g_strdup_printf("this QEMU does not export %s; trmig needs QEMU 10.0", missing);
    }
    const VersionInfo *info = qmp_query_version(NULL);
    version = g_strdup_printf("%" PRId64 ".%" PRId64 ".%" PRId64 " (%s)", info->qemu->major, info->qemu->minor,
                              info->qemu->micro, info->package ? info->package : "");
    if (info->qemu->major != 10 || info->qemu->minor != 0) {
        return g_strdup_printf("this is QEMU %s; trmig needs QEMU 10.0", version);
    }
    if (run_state("paused") < 0 || run_state("finish-migrate") < 0) {
        return "this QEMU's run states are laid out differently than 10.0's";
    }
    if (!timers_layout_holds()) {
        return "this QEMU's TimersState is laid out differently than 10.0's";
    }
    if (!replay_layout_holds()) {
        return "this QEMU's ReplayState is laid out differently than 10.0's";
    }
    if (!find_tcg_cflags()) {
        return "this QEMU's CPUState does not show its tcg_cflags";
    }
    return NULL;
}

/* A timer list begins with its clock: the main loop's must begin with the same one as a new list of that clock. */
static bool timer_lists_hold(void)
{
    bool hold = true;
    for (int clock = QEMU_CLOCK_HOST; clock < QEMU_CLOCK_MAX; clock++) {
        QEMUTimerList *list = timerlist_new(clock, NULL, NULL);
        hold = hold && main_loop_tlg[clock] && *(void **)main_loop_tlg[clock] == *(void **)list;
        timerlist_free(list);
    }
    return hold;
}

const char *abi_check_vcpu(CPUState *cpu)
{
    if (*accel_op(OPS_CREATE_VCPU_THREAD) != (void *)rr_start_vcpu_thread ||
        *accel_op(OPS_KICK_VCPU_THREAD) != (void *)rr_kick_vcpu_thread ||
        *accel_op(OPS_HANDLE_INTERRUPT) != (void *)tcg_handle_interrupt) {
        return "the machine must run with -accel tcg,thread=single and without -icount";
    }
    if (*accel_op(OPS_GET_VIRTUAL_CLOCK) || *accel_op(OPS_GET_ELAPSED_TICKS)) {
        return "this QEMU's accelerator keeps its own clock";
    }
    if (*cpu_cflags_next_tb(cpu) != UINT32_MAX) {
        return "this QEMU's CPUState is laid out differently than 10.0's";
    }
    if (!timer_lists_hold()) {
        return "this QEMU's timer lists are laid out differently than 10.0's";
    }
    if (qemu_get_cpu(1)) {
        return "the machine has several vCPUs; a log can hold one (use -smp 1)";
    }
    return NULL;
}

bool abi_check_chardev(const Chardev *chr, const char *name)
{
    const char *label = *(char *const *)((const uint8_t *)chr + CHARDEV_LABEL);
    const int logfd = *(const int *)((const uint8_t *)chr + CHARDEV_LOGFD);
    return label && strcmp(label, name) == 0 && logfd >= -1 && logfd < 65536;
}
