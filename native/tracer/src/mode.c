/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "mode.h"

#include "clock.h"
#include "pace.h"
#include "qemu.h"
#include "ram.h"
#include "tap.h"

#include <pthread.h>
#include <string.h>

enum {
    CHARDEVS_MAX = 8,
    EVENT_END = 39,
    STATE_MAGIC = 0x31535254, /* "TRS1" */
    QUIESCE_ROUNDS_MAX = 100000,
    CLOSE_TIMEOUT_MS = 200,
};

/* Precedes the device state: what a replay needs that QEMU's own state does not say. Little-endian. */
typedef struct __attribute__((packed)) {
    uint32_t magic;
    int32_t shift;
    int64_t clocks[2]; /* host and VIRTUAL_RT clock at arming: what a read before the first logged one returns */
} StateHeader;

static Mode mode; /* written by the main thread */
static bool finished, relinquished, stopped_by_us, icount_ready, mutex_ready;
static int flip_shift;
static FILE *log_file;
static pthread_t vcpu_thread;
static struct {
    const char *name;
    Chardev *chr;
    int logfd; /* saved while playing: replayed output is not written again */
} chardevs[CHARDEVS_MAX];
static int chardev_count;
static bool chardevs_registered;
static int64_t armed_clocks[2];

Mode mode_get(void) { return __atomic_load_n(&mode, __ATOMIC_ACQUIRE); }
static void mode_set(Mode next) { __atomic_store_n(&mode, next, __ATOMIC_RELEASE); }
bool mode_finished(void) { return finished; }
bool mode_relinquished(void) { return relinquished; }

const char *mode_name(Mode m)
{
    static const char *const names[] = {"dormant", "armed", "playing"};
    return names[m];
}

void mode_adopt_vcpu(CPUState *cpu)
{
    (void)cpu;
    vcpu_thread = pthread_self();
    *accel_op(OPS_GET_ELAPSED_TICKS) = (void *)cpu_get_clock;
}

uint64_t mode_vcpu_busy_ns(void)
{
    clockid_t clock;
    struct timespec used;
    if (pthread_getcpuclockid(vcpu_thread, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void mode_add_chardev(const char *name)
{
    if (chardev_count < CHARDEVS_MAX) {
        chardevs[chardev_count++].name = g_strdup(name);
    }
}

/* --- the halves of a flip: on the vCPU's thread, VM stopped --- */

static void flip_icount_on(CPUState *cpu, run_on_cpu_data data)
{
    (void)data;
    const int64_t now = cpu_get_clock();
    *timers_shift() = (int16_t)flip_shift;
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

static void flip_icount_off(CPUState *cpu, run_on_cpu_data data)
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

static void flip_replay_on(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    memset(&replay_state, 0, sizeof(replay_state));
    replay_state.data_kind = (unsigned int)-1;
    replay_state.cached_clock[0] = armed_clocks[0];
    replay_state.cached_clock[1] = armed_clocks[1];
    replay_init_events();
    replay_mode = data.host_int;
    replay_file = log_file;
    if (!mutex_ready) {
        replay_mutex_init(); /* leaves the caller holding it */
        replay_mutex_unlock();
        mutex_ready = true;
    }
    replay_enable_events();
}

/* The icount half. Main thread, VM stopped. */
static void icount_on(int shift)
{
    if (!icount_ready) {
        QemuOpts *opts = qemu_opts_create(qemu_find_opts("icount"), NULL, 0, NULL);
        qemu_opt_set(opts, "shift", "0", NULL);
        icount_configure(opts, NULL); /* for the warp timer; all else is set by the flip */
        use_icount = 0;
        icount_ready = true;
    }
    flip_shift = shift;
    run_on_cpu(qemu_get_cpu(0), flip_icount_on, (run_on_cpu_data){.host_ptr = NULL});
}

/* The record or play half. Main thread, VM stopped; returns with the replay mutex held, as the main loop's iteration
 * holds it in these modes. */
static void replay_on(int replay)
{
    run_on_cpu(qemu_get_cpu(0), flip_replay_on, (run_on_cpu_data){.host_int = replay});
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
    if (!chardevs_registered) {
        for (int i = 0; i < chardev_count; i++) {
            replay_register_char_driver(chardevs[i].chr);
        }
        chardevs_registered = true;
    }
}

/* Back to plain TCG. Main thread, VM stopped, replay mutex held; the log's FILE is no longer QEMU's afterwards. */
static void replay_and_icount_off(void)
{
    replay_finish_events();
    replay_file = NULL;
    replay_mutex_unlock(); /* before run_on_cpu: the vCPU's loop may be waiting for it */
    run_on_cpu(qemu_get_cpu(0), flip_icount_off, (run_on_cpu_data){.host_ptr = NULL});
}

/* Finds the chardevs once; at load they do not exist yet. */
static const char *find_chardevs(void)
{
    for (int i = 0; i < chardev_count; i++) {
        if (chardevs[i].chr) {
            continue;
        }
        Chardev *chr = qemu_chr_find(chardevs[i].name);
        if (!chr) {
            return g_strdup_printf("there is no chardev %s", chardevs[i].name);
        }
        if (!abi_check_chardev(chr, chardevs[i].name)) {
            return "this QEMU's Chardev is laid out differently than 10.0's";
        }
        qemu_chr_set_feature(chr, QEMU_CHAR_FEATURE_REPLAY);
        chardevs[i].chr = chr;
    }
    return NULL;
}

static int *chardev_logfd(Chardev *chr) { return (int *)((uint8_t *)chr + CHARDEV_LOGFD); }

static void mute_chardevs(void)
{
    for (int i = 0; i < chardev_count; i++) {
        chardevs[i].logfd = *chardev_logfd(chardevs[i].chr);
        *chardev_logfd(chardevs[i].chr) = -1;
    }
}

static void unmute_chardevs(void)
{
    for (int i = 0; i < chardev_count; i++) {
        *chardev_logfd(chardevs[i].chr) = chardevs[i].logfd;
    }
}

/* Lets requests that are in flight end, and their events run and be logged. Main thread, VM stopped. Under
 * record/replay QEMU's own drain does nothing. */
static bool quiesce(void)
{
    for (int round = 0; round < QUIESCE_ROUNDS_MAX; round++) {
        bool busy = aio_poll(qemu_get_aio_context(), false);
        if (mode == MODE_ARMED && replay_has_events()) {
            replay_save_events();
            busy = true;
        }
        const bool in_flight = mode == MODE_ARMED && replay_state.block_request_id != tap_block_events();
        if (!busy && !in_flight) {
            return true;
        }
    }
    return false;
}

/* --- probing: icount alone, to see how fast the guest is --- */

static uint64_t probe_begun_ns;

const char *mode_probe_begin(void)
{
    if (mode != MODE_DORMANT || !runstate_is_running()) {
        return "probing needs a dormant guest that runs";
    }
    vm_stop(run_state("paused"));
    icount_on(1);
    vm_start();
    probe_begun_ns = host_ns();
    return NULL;
}

const char *mode_probe_end(uint64_t *instructions)
{
    vm_stop(run_state("paused"));
    *instructions = (uint64_t)icount_get_raw();
    run_on_cpu(qemu_get_cpu(0), flip_icount_off, (run_on_cpu_data){.host_ptr = NULL});
    vm_start();
    return NULL;
}

/* --- recording --- */

static GByteArray *state_blob(int shift, const char **why)
{
    GByteArray *bytes = state_save(why);
    if (bytes) {
        const StateHeader header = {STATE_MAGIC, shift, {armed_clocks[0], armed_clocks[1]}};
        g_byte_array_prepend(bytes, (const uint8_t *)&header, sizeof(header));
    }
    return bytes;
}

const char *mode_arm(int shift, int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, bool checkpoint,
                     ArmResult *result)
{
    const char *why = find_chardevs();
    if (why) {
        return why;
    }
    *result = (ArmResult){.frozen = -1};
    const bool was_running = runstate_is_running();
    const uint64_t begun = host_ns();
    vm_stop(run_state("paused"));
    const uint64_t stopped = host_ns();
    quiesce();
    const uint64_t quiesced = host_ns();
    icount_on(shift);
    armed_clocks[0] = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    armed_clocks[1] = cpu_get_clock();
    const uint64_t flipped = host_ns();
    /* The state is saved before the log opens: what saving reads of the host's clocks is no event of the guest's. */
    if (checkpoint) {
        result->state = state_blob(shift, &why);
    }
    const uint64_t saved = host_ns();
    if (checkpoint && result->state) {
        result->frozen = ram_freeze();
        why = result->frozen < 0 ? "the frozen image could not be forked (out of memory or processes)" : NULL;
    }
    const uint64_t frozen = host_ns();
    if (why) {
        if (result->state) {
            g_byte_array_unref(result->state);
        }
        run_on_cpu(qemu_get_cpu(0), flip_icount_off, (run_on_cpu_data){.host_ptr = NULL});
    } else {
        log_file = tap_open(stream_fd, segment_ms, segment_bytes, armed_clocks);
        replay_on(REPLAY_MODE_RECORD);
        mode_set(MODE_ARMED);
        result->virtual_ns = (uint64_t)icount_get();
    }
    if (was_running) {
        vm_start();
    }
    const uint64_t ended = host_ns();
    result->pauses = (Pauses){
        .stop_ns = stopped - begun,
        .quiesce_ns = quiesced - stopped,
        .flip_ns = (flipped - quiesced) + (ended - frozen),
        .state_ns = saved - flipped,
        .freeze_ns = frozen - saved,
        .total_ns = ended - begun,
    };
    return why;
}

/* Stops the guest and ends its log. */
static void end_log(Pauses *pauses)
{
    const uint64_t begun = host_ns();
    pace_interrupt();
    vm_stop(run_state("paused"));
    const uint64_t stopped = host_ns();
    quiesce();
    const uint64_t quiesced = host_ns();
    replay_save_instructions();
    tap_finish();
    *pauses = (Pauses){
        .stop_ns = stopped - begun,
        .quiesce_ns = quiesced - stopped,
        .flush_ns = host_ns() - quiesced,
    };
}

const char *mode_finish(FinishResult *result)
{
    const uint64_t begun = host_ns();
    *result = (FinishResult){0};
    end_log(&result->pauses);
    finished = true;
    const uint64_t flushed = host_ns();
    result->virtual_ns = (uint64_t)icount_get();
    const char *why = mode_digest(&result->icount, &result->registers, &result->devices);
    const uint64_t ended = host_ns();
    result->pauses.digest_ns = ended - flushed;
    result->pauses.total_ns = ended - begun;
    return why;
}

const char *mode_disarm(Pauses *pauses, uint64_t *icount)
{
    const uint64_t begun = host_ns();
    const bool was_running = runstate_is_running() || finished;
    *pauses = (Pauses){0};
    if (!finished) {
        end_log(pauses);
    }
    *icount = replay_state.current_icount;
    const uint64_t flushed = host_ns();
    pace_set(0);
    replay_and_icount_off();
    mode_set(MODE_DORMANT);
    finished = false;
    if (was_running && !stopped_by_us) {
        vm_start();
    }
    pauses->flip_ns = host_ns() - flushed;
    pauses->total_ns = host_ns() - begun;
    return NULL;
}

const char *mode_relinquish(void)
{
    relinquished = true;
    return NULL;
}

const char *mode_reclaim(void)
{
    relinquished = false;
    return NULL;
}

const char *mode_stop(uint64_t *ns)
{
    const uint64_t begun = host_ns();
    pace_interrupt();
    vm_stop(run_state("paused"));
    stopped_by_us = true;
    *ns = host_ns() - begun;
    return NULL;
}

const char *mode_cont(void)
{
    if (relinquished) {
        return "this host has given the machine away";
    }
    stopped_by_us = false;
    vm_start();
    return NULL;
}

/* Digests what a replayed twin would have at this instruction: reads of clocks while saving must give the log's last
 * values, as they do in play mode, and must not be logged. */
const char *mode_digest(uint64_t *icount, uint64_t *registers, Digest128 *devices)
{
    const char *why = NULL;
    const ReplayState saved = replay_state;
    *icount = mode == MODE_DORMANT ? 0 : replay_state.current_icount;
    *registers = state_registers64();
    if (mode == MODE_ARMED) {
        int64_t clocks[2];
        tap_last_clocks(clocks);
        replay_state.cached_clock[0] = clocks[0];
        replay_state.cached_clock[1] = clocks[1];
        replay_state.data_kind = EVENT_END;
        replay_state.has_unread_data = true;
        replay_state.instruction_count = 0;
        replay_mode = REPLAY_MODE_PLAY;
    }
    state_devices128(devices, &why);
    if (mode == MODE_ARMED) {
        replay_mode = REPLAY_MODE_RECORD;
        replay_state = saved;
    }
    return why;
}

/* --- playing --- */

const char *mode_restore(int shift, const uint8_t *blob, size_t size)
{
    StateHeader header;
    if (size < sizeof(header)) {
        return "the device state is too short";
    }
    memcpy(&header, blob, sizeof(header));
    if (header.magic != STATE_MAGIC || header.shift != shift) {
        return "the device state was not saved by a tracer with this shift";
    }
    const char *why = find_chardevs();
    if (why) {
        return why;
    }
    armed_clocks[0] = header.clocks[0];
    armed_clocks[1] = header.clocks[1];
    icount_on(shift);
    return state_load(blob + sizeof(header), size - sizeof(header));
}

const char *mode_play(int stream_fd, uint64_t until, void (*on_first)(void), void (*on_end)(void))
{
    mode_set(MODE_PLAYING);
    finished = false;
    log_file = feed_open(stream_fd, until, on_first, on_end);
    return NULL;
}

void mode_play_start(void)
{
    mute_chardevs();
    replay_on(REPLAY_MODE_PLAY);
    replay_fetch_data_kind();
    vm_start();
}

void mode_play_stop(void)
{
    vm_stop(run_state("paused"));
    finished = feed_end() == FEED_FINAL;
}

const char *mode_continue(uint64_t until)
{
    feed_continue(until);
    replay_state.has_unread_data = false;
    replay_fetch_data_kind();
    vm_start();
    return NULL;
}

const char *mode_live(Pauses *pauses, uint64_t *virtual_ns)
{
    const uint64_t begun = host_ns();
    *virtual_ns = (uint64_t)icount_get();
    replay_and_icount_off();
    unmute_chardevs();
    mode_set(MODE_DORMANT);
    finished = false;
    const uint64_t flipped = host_ns();
    vm_start();
    const uint64_t started = host_ns();
    *pauses = (Pauses){.flip_ns = flipped - begun, .start_ns = started - flipped, .total_ns = started - begun};
    return NULL;
}

bool mode_log_is_closing(void) { return mode_get() == MODE_DORMANT && log_file != NULL; }

void mode_close_log(bool was_playing)
{
    if (was_playing) {
        feed_close(log_file);
    } else {
        tap_close(log_file, CLOSE_TIMEOUT_MS);
    }
    log_file = NULL;
}
