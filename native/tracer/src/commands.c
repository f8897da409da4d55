/*
 * The commands of docs/tracer-protocol.md: check the arguments and the mode, call, answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "clock.h"
#include "control.h"
#include "feed.h"
#include "mode.h"
#include "pace.h"
#include "ram.h"
#include "tap.h"
#include "tracer.h"

#include <string.h>
#include <unistd.h>

#define TRACER_VERSION "0.1.0"

enum {
    LEASE_MS_MAX = 600000,
    SHIFT_MAX = 10,
    PAUSES_KEPT = 64,
    TICK_MS = 50,
    PLAYING_TICK_MS = 5,
    STREAM_GRACE_MS = 5000, /* a reader that has gone may not come back: its log has a gap */
};

static struct {
    uint64_t lease_until_ns; /* 0: no lease runs */
    char *lost;
    FeedPlayed played; /* as last reported */
    struct {
        const char *what;
        uint64_t ns, host_ns;
    } pauses[PAUSES_KEPT];
    uint64_t pause_count;
} control;

static void note_pause(const char *what, uint64_t ns)
{
    const uint64_t slot = __atomic_fetch_add(&control.pause_count, 1, __ATOMIC_RELAXED) % PAUSES_KEPT;
    control.pauses[slot].what = what;
    control.pauses[slot].ns = ns;
    control.pauses[slot].host_ns = host_ns();
}

static void lease_set(int64_t ms)
{
    __atomic_store_n(&control.lease_until_ns, ms ? host_ns() + (uint64_t)ms * 1000000u : 0, __ATOMIC_RELEASE);
}
static uint64_t lease_get(void) { return __atomic_load_n(&control.lease_until_ns, __ATOMIC_ACQUIRE); }

static bool mode_is(Request *request, Mode wanted)
{
    if (mode_get() != wanted) {
        request_fail(request, "WrongMode", "%s needs a tracer that is %s; this one is %s", request->command->name,
                     mode_name(wanted), mode_name(mode_get()));
    }
    return !request->error_class;
}

static bool is_stopped(Request *request)
{
    if (runstate_is_running()) {
        request_fail(request, "NotStopped", "%s needs a stopped guest", request->command->name);
    }
    return !request->error_class;
}

static void fail_if(Request *request, const char *why)
{
    if (why) {
        request_fail(request, "Failed", "%s", why);
    }
}

static void reply_pauses(Request *request, const Pauses *pauses)
{
    request_reply(request, "pauses",
                  "{\"stopNs\":%" PRIu64 ",\"quiesceNs\":%" PRIu64 ",\"flipNs\":%" PRIu64 ",\"stateNs\":%" PRIu64
                  ",\"freezeNs\":%" PRIu64 ",\"flushNs\":%" PRIu64 ",\"digestNs\":%" PRIu64 ",\"startNs\":%" PRIu64
                  ",\"totalNs\":%" PRIu64 "}",
                  pauses->stop_ns, pauses->quiesce_ns, pauses->flip_ns, pauses->state_ns, pauses->freeze_ns,
                  pauses->flush_ns, pauses->digest_ns, pauses->start_ns, pauses->total_ns);
}

static void reply_blocks(Request *request, const char *name)
{
    GString *blocks = g_string_new(NULL);
    ram_describe(blocks);
    request_reply(request, name, "%s", blocks->str);
    g_string_free(blocks, TRUE);
}

static void reply_frozen(Request *request, pid_t pid)
{
    GString *blocks = g_string_new(NULL);
    ram_describe(blocks);
    request_reply(request, "frozen", "{\"pid\":%d,\"blocks\":%s}", (int)pid, blocks->str);
    g_string_free(blocks, TRUE);
}

static void reply_digests(Request *request, uint64_t registers, const Digest128 *devices)
{
    request_reply(request, "registers", "\"%016" PRIx64 "\"", registers);
    request_reply(request, "devices", "\"%016" PRIx64 "%016" PRIx64 "\"", devices->high, devices->low);
}

static uint64_t position(void)
{
    switch (mode_get()) {
    case MODE_ARMED:
        return tap_status().instructions;
    case MODE_PLAYING:
        return feed_played().icount;
    default:
        return 0;
    }
}

/* --- control thread --- */

static void run_hello(Request *request)
{
    request_reply(request, "tracer", "\"%s\"", TRACER_VERSION);
    request_reply(request, "qemu", "\"%s\"", qemu_version_string());
    request_reply(request, "target", "\"%s\"", tracer_target());
    request_reply(request, "pid", "%d", (int)getpid());
    request_reply(request, "mode", "\"%s\"", mode_name(mode_get()));
    request_reply(request, "running", "%s", runstate_is_running() ? "true" : "false");
    request_reply(request, "icount", "%" PRIu64, position());
    reply_blocks(request, "blocks");
}

static void run_status(Request *request)
{
    const TapStatus tap = mode_get() == MODE_ARMED ? tap_status() : (TapStatus){0};
    const uint64_t lease = lease_get(), now = host_ns();
    const char *stopped_by = mode_relinquished() ? "\"relinquished\""
                             : mode_finished()   ? "\"finish\""
                             : lease             ? "\"stop\""
                                                 : "null";
    request_reply(request, "mode", "\"%s\"", mode_name(mode_get()));
    request_reply(request, "running", "%s", runstate_is_running() ? "true" : "false");
    request_reply(request, "stoppedBy", "%s", stopped_by);
    request_reply(request, "icount", "%" PRIu64, position());
    request_reply(request, "shift", "%d", *timers_shift());
    request_reply(request, "virtualNs", "%" PRId64, mode_get() == MODE_DORMANT ? cpu_get_clock() : (int64_t)(*timers_i64(TIMERS_ICOUNT_BIAS) + (int64_t)(position() << *timers_shift())));
    request_reply(request, "hostNs", "%" PRIu64, now);
    request_reply(request, "ring", "{\"usedBytes\":%" PRIu64 ",\"capacityBytes\":%" PRIu64 "}", tap.ring_used_bytes,
                  tap.ring_capacity_bytes);
    request_reply(request, "segments", "%" PRIu64, tap.segments);
    request_reply(request, "events", "%" PRIu64, tap.events);
    request_reply(request, "rawBytes", "%" PRIu64, tap.raw_bytes);
    request_reply(request, "stream", "%s", tap.stream ? "true" : "false");
    request_reply(request, "lost", control.lost ? "\"%s\"" : "null", control.lost);
    request_reply(request, "pace", "%.3f", pace_get());
    request_reply(request, "pacedNs", "%" PRIu64, pace_slept_ns());
    request_reply(request, "leaseMs", "%" PRIu64, lease > now ? (lease - now) / 1000000u : 0);
    request_reply(request, "owned", "%s", mode_relinquished() ? "false" : "true");
    GString *pauses = g_string_new("[");
    const uint64_t count = __atomic_load_n(&control.pause_count, __ATOMIC_RELAXED);
    for (uint64_t i = count > PAUSES_KEPT ? count - PAUSES_KEPT : 0; i < count; i++) {
        g_string_append_printf(pauses, "%s{\"what\":\"%s\",\"ns\":%" PRIu64 ",\"hostNs\":%" PRIu64 "}",
                               pauses->len > 1 ? "," : "", control.pauses[i % PAUSES_KEPT].what,
                               control.pauses[i % PAUSES_KEPT].ns, control.pauses[i % PAUSES_KEPT].host_ns);
    }
    request_reply(request, "pauses", "%s]", pauses->str);
    g_string_free(pauses, TRUE);
}

static void run_segment(Request *request)
{
    int64_t ms, bytes;
    if (mode_is(request, MODE_ARMED) && request_int(request, "ms", 1, 10000, 0, &ms) &&
        request_int(request, "bytes", 1024, 8 * 1024 * 1024, 0, &bytes)) {
        tap_set_bounds((uint64_t)ms, (uint64_t)bytes);
    }
}

static void run_pace(Request *request)
{
    double fraction;
    if (mode_is(request, MODE_ARMED) && request_number(request, "fraction", 0, 0.95, &fraction)) {
        pace_set(fraction);
    }
}

static void run_renew(Request *request)
{
    int64_t ms;
    if (!request_int(request, "leaseMs", 1, LEASE_MS_MAX, 0, &ms)) {
        return;
    }
    if (!lease_get()) {
        request_fail(request, "WrongMode", "there is no lease to renew: the guest goes on, or was given away");
        return;
    }
    lease_set(ms);
}

static void run_thaw(Request *request)
{
    int64_t pid;
    if (request_int(request, "pid", 1, INT32_MAX, 0, &pid) && !ram_thaw((pid_t)pid)) {
        request_fail(request, "BadRequest", "%d is not a frozen image of this machine", (int)pid);
    }
}

/* --- main loop --- */

static void end_probe(Request *request)
{
    uint64_t instructions = 0;
    fail_if(request, mode_probe_end(&instructions));
    request_reply(request, "instructions", "%" PRIu64, instructions);
    request_reply(request, "busyNs", "%" PRIu64, mode_vcpu_busy_ns() - request->begun_busy_ns);
    request_reply(request, "ns", "%" PRIu64, host_ns() - request->begun_ns);
}

static void run_probe(Request *request)
{
    int64_t ms;
    if (!request_int(request, "ms", 10, 1000, 0, &ms)) {
        return;
    }
    request->begun_ns = host_ns();
    request->begun_busy_ns = mode_vcpu_busy_ns();
    fail_if(request, mode_probe_begin());
    note_pause("probe", host_ns() - request->begun_ns);
    request->then = end_probe;
    request->then_ns = request->begun_ns + (uint64_t)ms * 1000000u;
}

static void run_arm(Request *request)
{
    int64_t shift, ms, bytes;
    if (!mode_is(request, MODE_DORMANT) || !request_int(request, "shift", 0, SHIFT_MAX, -1, &shift) ||
        !request_int(request, "segmentMs", 1, 10000, 20, &ms) ||
        !request_int(request, "segmentBytes", 1024, 8 * 1024 * 1024, 1024 * 1024, &bytes)) {
        return;
    }
    const char *name = request_str(request, "stream");
    const int fd = name ? control_take_stream(name) : -1;
    if (fd < 0) {
        request_fail(request, "NoStream", "attach a stream first, and name it in `stream`");
        return;
    }
    ArmResult result;
    fail_if(request, mode_arm((int)shift, fd, (uint64_t)ms, (uint64_t)bytes, request_bool(request, "checkpoint"), &result));
    if (request->error_class) {
        close(fd);
        return;
    }
    g_free(control.lost);
    control.lost = NULL;
    note_pause("arm", result.pauses.total_ns);
    request_reply(request, "shift", "%d", (int)shift);
    request_reply(request, "virtualNs", "%" PRIu64, result.virtual_ns);
    reply_pauses(request, &result.pauses);
    if (result.state) {
        gchar *base64 = g_base64_encode(result.state->data, result.state->len);
        request_reply(request, "deviceState", "\"%s\"", base64);
        g_free(base64);
        g_byte_array_unref(result.state);
        reply_frozen(request, result.frozen);
    }
}

static void run_disarm(Request *request)
{
    Pauses pauses;
    uint64_t icount;
    if (!mode_is(request, MODE_ARMED)) {
        return;
    }
    if (mode_relinquished()) {
        request_fail(request, "WrongMode", "this host has given the machine away");
        return;
    }
    lease_set(0);
    fail_if(request, mode_disarm(&pauses, &icount));
    note_pause("disarm", pauses.total_ns);
    request_reply(request, "icount", "%" PRIu64, icount);
    reply_pauses(request, &pauses);
}

static void run_finish(Request *request)
{
    int64_t ms;
    FinishResult result;
    if (!mode_is(request, MODE_ARMED) || !request_int(request, "leaseMs", 1, LEASE_MS_MAX, 0, &ms)) {
        return;
    }
    if (mode_finished()) {
        request_fail(request, "WrongMode", "the log is finished already");
        return;
    }
    fail_if(request, mode_finish(&result));
    lease_set(ms);
    note_pause("finish", result.pauses.total_ns);
    request_reply(request, "icount", "%" PRIu64, result.icount);
    request_reply(request, "virtualNs", "%" PRIu64, result.virtual_ns);
    reply_digests(request, result.registers, &result.devices);
    reply_pauses(request, &result.pauses);
}

static void run_resume(Request *request)
{
    if (mode_get() == MODE_ARMED) {
        run_disarm(request);
        return;
    }
    lease_set(0);
    fail_if(request, mode_cont());
}

static void run_relinquish(Request *request)
{
    if (!mode_finished() || mode_get() != MODE_ARMED) {
        request_fail(request, "WrongMode", "only a machine whose log is finished can be given away");
        return;
    }
    lease_set(0);
    fail_if(request, mode_relinquish());
}

static void run_reclaim(Request *request)
{
    if (!mode_relinquished()) {
        request_fail(request, "WrongMode", "this machine was not given away");
        return;
    }
    fail_if(request, mode_reclaim());
    run_disarm(request);
}

static void run_stop(Request *request)
{
    int64_t ms;
    uint64_t ns;
    if (!request_int(request, "leaseMs", 1, LEASE_MS_MAX, 0, &ms)) {
        return;
    }
    if (mode_get() == MODE_PLAYING || mode_finished()) {
        request_fail(request, "WrongMode", "only a guest that runs here can be stopped");
        return;
    }
    fail_if(request, mode_stop(&ns));
    lease_set(ms);
    request_reply(request, "ns", "%" PRIu64, ns);
}

static void run_cont(Request *request)
{
    if (mode_get() == MODE_PLAYING || mode_finished()) {
        request_fail(request, "WrongMode", "this guest was not stopped by `stop`");
        return;
    }
    lease_set(0);
    fail_if(request, mode_cont());
}

static void run_restore(Request *request)
{
    int64_t shift;
    gsize size;
    if (!mode_is(request, MODE_DORMANT) || !is_stopped(request) ||
        !request_int(request, "shift", 0, SHIFT_MAX, -1, &shift)) {
        return;
    }
    const char *base64 = request_str(request, "deviceState");
    if (!base64) {
        return;
    }
    const uint64_t begun = host_ns();
    guchar *blob = g_base64_decode(base64, &size);
    fail_if(request, mode_restore((int)shift, blob, size));
    g_free(blob);
    request_reply(request, "ns", "%" PRIu64, host_ns() - begun);
}

/* The main loop, as a bottom half. */
static void start_playing(void *unused)
{
    (void)unused;
    mode_play_start();
}

static void stop_playing(void *unused)
{
    (void)unused;
    mode_play_stop();
    const FeedPlayed played = feed_played();
    const FeedEnd end = feed_end();
    char *data;
    if (end == FEED_DIVERGED) {
        const FeedDivergence at = feed_divergence();
        data = g_strdup_printf("\"seq\":%" PRIu64 ",\"icount\":%" PRIu64 ",\"expected\":\"%016" PRIx64
                               "\",\"actual\":\"%016" PRIx64 "\"",
                               at.seq, at.icount, at.expected, at.actual);
        control_event("diverged", data);
    } else {
        static const char *const why[] = {"", "until", "final", "stream lost", "frame damaged", ""};
        /* Digested at once: whoever waits for this event wants to compare, and every round trip is downtime. */
        uint64_t icount, registers;
        Digest128 devices = {0, 0};
        const uint64_t begun = host_ns();
        mode_digest(&icount, &registers, &devices);
        data = g_strdup_printf("\"icount\":%" PRIu64 ",\"virtualNs\":%" PRId64 ",\"final\":%s,\"why\":\"%s\",\"registers\":\"%016"
                               PRIx64 "\",\"devices\":\"%016" PRIx64 "%016" PRIx64 "\",\"digestNs\":%" PRIu64,
                               played.icount, icount_get(), end == FEED_FINAL ? "true" : "false", why[end], registers,
                               devices.high, devices.low, host_ns() - begun);
        control_event("reached", data);
    }
    g_free(data);
}

/* The feed's thread. */
static void on_first_segment(void) { aio_bh_schedule_oneshot_full(qemu_get_aio_context(), start_playing, NULL, "trmig"); }
/* Whichever thread met the log's end, with QEMU's locks held. */
static void on_log_end(void) { aio_bh_schedule_oneshot_full(qemu_get_aio_context(), stop_playing, NULL, "trmig"); }

static bool until_argument(Request *request, uint64_t *until)
{
    int64_t value;
    if (!request_int(request, "until", 1, INT64_MAX, INT64_MAX, &value)) {
        return false;
    }
    *until = value == INT64_MAX ? UINT64_MAX : (uint64_t)value;
    return true;
}

static void run_play(Request *request)
{
    uint64_t until;
    if (!mode_is(request, MODE_DORMANT) || !is_stopped(request) || !until_argument(request, &until)) {
        return;
    }
    if (!use_icount) {
        request_fail(request, "WrongMode", "restore a device state first");
        return;
    }
    const char *name = request_str(request, "stream");
    const int fd = name ? control_take_stream(name) : -1;
    if (fd < 0) {
        request_fail(request, "NoStream", "attach a stream first, and name it in `stream`");
        return;
    }
    control.played = (FeedPlayed){0};
    fail_if(request, mode_play(fd, until, on_first_segment, on_log_end));
}

static void run_continue(Request *request)
{
    uint64_t until;
    if (!mode_is(request, MODE_PLAYING) || !until_argument(request, &until)) {
        return;
    }
    if (feed_end() != FEED_UNTIL || runstate_is_running()) {
        request_fail(request, "WrongMode", "only a replay that stopped at `until` can continue");
        return;
    }
    fail_if(request, mode_continue(until));
}

static void run_digest(Request *request)
{
    uint64_t icount, registers;
    Digest128 devices;
    if (!is_stopped(request)) {
        return;
    }
    fail_if(request, mode_digest(&icount, &registers, &devices));
    request_reply(request, "icount", "%" PRIu64, icount);
    reply_digests(request, registers, &devices);
    if (request_bool(request, "ram")) {
        const Digest128 ram = state_ram128();
        request_reply(request, "ram", "\"%016" PRIx64 "%016" PRIx64 "\"", ram.high, ram.low);
    }
}

static void run_freeze(Request *request)
{
    if (!is_stopped(request)) {
        return;
    }
    const uint64_t begun = host_ns();
    const pid_t pid = ram_freeze();
    if (pid < 0) {
        request_fail(request, "Failed", "the frozen image could not be forked (out of memory or processes)");
        return;
    }
    request_reply(request, "ns", "%" PRIu64, host_ns() - begun);
    request_reply(request, "pid", "%d", (int)pid);
    reply_blocks(request, "blocks");
}

static void run_live(Request *request)
{
    Pauses pauses;
    uint64_t virtual_ns;
    if (!mode_is(request, MODE_PLAYING)) {
        return;
    }
    if (!mode_finished()) {
        request_fail(request, "WrongMode", "the log has not been replayed to its end");
        return;
    }
    const uint64_t begun = host_ns();
    const pid_t frozen = request_bool(request, "freeze") ? ram_freeze() : 0;
    const uint64_t freeze_ns = host_ns() - begun;
    fail_if(request, mode_live(&pauses, &virtual_ns));
    pauses.freeze_ns = freeze_ns;
    pauses.total_ns += freeze_ns;
    note_pause("live", pauses.total_ns);
    if (frozen > 0) {
        reply_frozen(request, frozen);
    }
    request_reply(request, "virtualNs", "%" PRIu64, virtual_ns);
    reply_pauses(request, &pauses);
}

static void close_feed(void) { mode_close_log(true); }

/* The guest goes on by itself: the lease ran out. */
static void run_lease_out(Request *request)
{
    run_resume(request);
    control_event("lease", "");
}

/* The log cannot be kept: back to dormant. */
static void run_lose(Request *request)
{
    char *data = g_strdup_printf("\"reason\":\"%s\"", control.lost);
    run_disarm(request);
    control_event("lost", data);
    g_free(data);
}

static void close_after_resume(void)
{
    if (mode_log_is_closing()) {
        mode_close_log(false);
    }
}

static const Command lease_out = {"lease", run_lease_out, true, close_after_resume};
static const Command lose = {"lose", run_lose, true, close_after_resume};

const Command control_commands[] = {
    {"hello", run_hello, false, NULL},
    {"status", run_status, false, NULL},
    {"segment", run_segment, false, NULL},
    {"pace", run_pace, false, NULL},
    {"renew", run_renew, false, NULL},
    {"thaw", run_thaw, false, NULL},
    {"probe", run_probe, true, NULL},
    {"arm", run_arm, true, NULL},
    {"disarm", run_disarm, true, close_after_resume},
    {"finish", run_finish, true, NULL},
    {"resume", run_resume, true, close_after_resume},
    {"relinquish", run_relinquish, true, NULL},
    {"reclaim", run_reclaim, true, close_after_resume},
    {"stop", run_stop, true, NULL},
    {"cont", run_cont, true, NULL},
    {"restore", run_restore, true, NULL},
    {"play", run_play, true, NULL},
    {"continue", run_continue, true, NULL},
    {"digest", run_digest, true, NULL},
    {"freeze", run_freeze, true, NULL},
    {"live", run_live, true, close_feed},
    {NULL, NULL, false, NULL},
};

static void report_played(void)
{
    const FeedPlayed played = feed_played();
    if (played.segments == control.played.segments) {
        return;
    }
    control.played = played;
    char *data = g_strdup_printf("\"seq\":%" PRIu64 ",\"icount\":%" PRIu64 ",\"virtualNs\":%" PRIu64 ",\"hostNs\":%" PRIu64
                                 ",\"waitNs\":%" PRIu64,
                                 played.seq, played.icount, played.virtual_ns, played.host_ns, played.wait_ns);
    control_event("played", data);
    g_free(data);
}

int commands_tick(void)
{
    const uint64_t now = host_ns(), lease = lease_get();
    if (lease && now > lease && !mode_relinquished()) {
        lease_set(0);
        control_run(&lease_out);
    }
    if (mode_get() == MODE_PLAYING) {
        report_played();
        return PLAYING_TICK_MS;
    }
    if (mode_get() == MODE_ARMED && !mode_finished() && !control.lost) {
        const TapStatus tap = tap_status();
        if (tap.overflow) {
            control.lost = g_strdup("the log was made faster than it was read: the ring is full");
        } else if (tap.stream_gone_ns && now - tap.stream_gone_ns > STREAM_GRACE_MS * 1000000ull) {
            control.lost = g_strdup("the log's reader has gone");
        }
        if (control.lost) {
            control_run(&lose);
        }
    }
    return TICK_MS;
}
