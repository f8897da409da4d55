/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "mode.h"

#include "chardevs.h"
#include "clock.h"
#include "counting.h"
#include "flip.h"
#include "outside.h"
#include "pace.h"
#include "quiesce.h"
#include "qemu.h"
#include "ram.h"
#include "tap.h"
#include "virtqueues.h"

#include <pthread.h>
#include <string.h>

enum {
    EVENT_END = 39,
    STATE_MAGIC = 0x31535254, /* "TRS1" */
    CLOSE_TIMEOUT_MS = 200,
};

/* Precedes the device state: what a replay needs that QEMU's own state does not say. Little-endian. */
typedef struct __attribute__((packed)) {
    uint32_t magic;
    int32_t shift;
    int64_t clocks[2]; /* host and VIRTUAL_RT clock at arming: what a read before the first logged one returns */
} StateHeader;

static Mode mode; /* written by the main thread */
static bool finished, relinquished, stopped_by_us;
static FILE *tap_file, *feed_file;
static pthread_t vcpu_thread;
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

static const char restless[] = "the guest's devices do not come to rest: requests stay in flight";

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
    const char *why = chardevs_find();
    if (!why && checkpoint) {
        why = outside_devices_changed();
    }
    if (why) {
        return why;
    }
    *result = (ArmResult){.frozen = -1};
    const bool was_running = runstate_is_running();
    const uint64_t begun = host_ns();
    outside_vm_stop("paused");
    const uint64_t stopped = host_ns();
    if (!quiesce(mode == MODE_ARMED)) {
        if (was_running) {
            vm_start();
        }
        return restless;
    }
    quiesce_nics();
    const uint64_t quiesced = host_ns();
    flip_icount_on(shift);
    armed_clocks[0] = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    armed_clocks[1] = cpu_get_clock();
    const uint64_t flipped = host_ns();
    /* The state is saved before the log opens: what saving reads of the host's clocks is no event of the guest's. */
    if (checkpoint) {
        virtqueues_forget();
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
        flip_icount_off();
    } else {
        const TapStart start = {.clocks = {armed_clocks[0], armed_clocks[1]}};
        tap_file = tap_open(stream_fd, segment_ms, segment_bytes, &start);
        flip_replay_on(REPLAY_MODE_RECORD, tap_file, armed_clocks);
        chardevs_register();
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

/* Stops the guest as `state` and ends its log. False when its devices do not come to rest: then the log is not ended. */
static bool end_log(const char *state, Pauses *pauses)
{
    const uint64_t begun = host_ns();
    pace_interrupt();
    /* Packets first, while the guest can make no more of them and still counts as running: a stopped machine's nic neither
     * takes nor sends any, while the one that replays this does both as it is logged. */
    pause_all_vcpus();
    while (quiesce_queue()) {
    }
    outside_vm_stop(state);
    const uint64_t stopped = host_ns();
    if (!quiesce(mode == MODE_ARMED)) {
        return false;
    }
    const uint64_t quiesced = host_ns();
    replay_save_instructions();
    tap_finish();
    *pauses = (Pauses){
        .stop_ns = stopped - begun,
        .quiesce_ns = quiesced - stopped,
        .flush_ns = host_ns() - quiesced,
    };
    return true;
}

const char *mode_finish(FinishResult *result)
{
    const uint64_t begun = host_ns();
    const char *why = outside_devices_changed();
    if (!why && !runstate_is_running()) {
        why = "the guest was stopped by somebody else";
    }
    if (why) {
        return why;
    }
    *result = (FinishResult){.host_ns = begun};
    /* As QEMU's own migration stops it: so its monitor does not let it go on, which may be somebody else's by then. */
    if (!end_log("finish-migrate", &result->pauses)) {
        vm_start();
        return restless;
    }
    finished = true;
    const uint64_t flushed = host_ns();
    result->virtual_ns = (uint64_t)icount_get();
    why = mode_digest(&result->icount, &result->registers, &result->devices);
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
    if (!finished && !end_log("paused", pauses)) {
        tap_finish(); /* what is in flight ends dormant; whoever reads the log sees it end here */
    }
    *icount = replay_state.current_icount;
    const uint64_t flushed = host_ns();
    pace_set(0);
    flip_off();
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
    outside_vm_stop("paused");
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
    const char *why = chardevs_find();
    if (why) {
        return why;
    }
    armed_clocks[0] = header.clocks[0];
    armed_clocks[1] = header.clocks[1];
    flip_icount_on(shift);
    /* The guest's alarms (the RTC's) are timers of the host's clock, which has gone on since: until the log tells the time,
     * none may fire. */
    qemu_clock_enable(QEMU_CLOCK_HOST, false);
    return state_load(blob + sizeof(header), size - sizeof(header));
}

const char *mode_play(int stream_fd, uint64_t until, void (*on_first)(void), void (*on_end)(void))
{
    mode_set(MODE_PLAYING);
    finished = false;
    feed_file = feed_open(stream_fd, until, on_first, on_end);
    return NULL;
}

void mode_play_start(void)
{
    chardevs_mute();
    flip_replay_on(REPLAY_MODE_PLAY, feed_file, armed_clocks);
    chardevs_register();
    replay_fetch_data_kind();
    qemu_clock_enable(QEMU_CLOCK_HOST, true);
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
    finished = false;
    replay_state.has_unread_data = false;
    replay_fetch_data_kind();
    vm_start();
    return NULL;
}

const char *mode_live(Pauses *pauses, uint64_t *virtual_ns)
{
    const uint64_t begun = host_ns();
    *virtual_ns = (uint64_t)icount_get();
    flip_replay_off();
    chardevs_unmute();
    mode_set(MODE_DORMANT);
    finished = false;
    counting_begin(begun);
    const uint64_t flipped = host_ns();
    vm_start();
    const uint64_t started = host_ns();
    *pauses = (Pauses){.flip_ns = flipped - begun, .start_ns = started - flipped, .total_ns = started - begun};
    return NULL;
}

const char *mode_live_armed(int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, Pauses *pauses,
                            uint64_t *virtual_ns)
{
    const uint64_t begun = host_ns();
    *virtual_ns = (uint64_t)icount_get();
    /* Whoever replays both logs stops here as this guest did, and starts as it does below: what that makes the devices do
     * belongs to the second. */
    const FeedPlayed played = feed_played();
    const TapStart start = {
        .seq = played.seq + 1,
        .instructions = replay_state.current_icount,
        .block_events = replay_state.block_request_id, /* nothing is in flight: whoever ended the log saw to that */
        .clocks = {replay_state.cached_clock[0], replay_state.cached_clock[1]},
    };
    tap_file = tap_open(stream_fd, segment_ms, segment_bytes, &start);
    flip_play_to_record(tap_file);
    chardevs_unmute();
    mode_set(MODE_ARMED);
    finished = false;
    const uint64_t flipped = host_ns();
    vm_start();
    const uint64_t started = host_ns();
    *pauses = (Pauses){.flip_ns = flipped - begun, .start_ns = started - flipped, .total_ns = started - begun};
    return NULL;
}

void mode_close_feed(void)
{
    if (feed_file) {
        feed_close(feed_file);
        feed_file = NULL;
    }
}

void mode_close_tap(void)
{
    if (tap_file && mode_get() == MODE_DORMANT) {
        tap_close(tap_file, CLOSE_TIMEOUT_MS);
        tap_file = NULL;
    }
}
