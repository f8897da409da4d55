/*
 * What all commands share, those that only look, and what happens between requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "commands.h"

#include "clock.h"
#include "counting.h"
#include "feed.h"
#include "pace.h"
#include "ram.h"
#include "streams.h"
#include "tap.h"
#include "tracer.h"

#include <unistd.h>

#define TRACER_VERSION "0.1.0"

enum {
    PAUSES_KEPT = 64,
    TICK_MS = 50,
    PLAYING_TICK_MS = 2,
    COLLAPSE_NS = 50 * 1000 * 1000,
    COUNTING_MS = 150,      /* of a guest that has gone live: until those who waited for it have been served */
    STREAM_GRACE_MS = 5000, /* a reader that has gone may not come back: its log has a gap */
};

static struct {
    uint64_t lease_until_ns; /* 0: no lease runs */
    char *lost;
    struct {
        const char *what;
        uint64_t ns, host_ns;
    } pauses[PAUSES_KEPT];
    uint64_t pause_count;
} control;

void note_pause(const char *what, uint64_t ns)
{
    const uint64_t slot = __atomic_fetch_add(&control.pause_count, 1, __ATOMIC_RELAXED) % PAUSES_KEPT;
    control.pauses[slot].what = what;
    control.pauses[slot].ns = ns;
    control.pauses[slot].host_ns = host_ns();
}

void lease_set(int64_t ms)
{
    __atomic_store_n(&control.lease_until_ns, ms ? host_ns() + (uint64_t)ms * 1000000u : 0, __ATOMIC_RELEASE);
}
uint64_t lease_get(void) { return __atomic_load_n(&control.lease_until_ns, __ATOMIC_ACQUIRE); }

bool request_needs_mode(Request *request, Mode wanted)
{
    if (mode_get() != wanted) {
        request_fail(request, "WrongMode", "%s needs a tracer that is %s; this one is %s", request->command->name,
                     mode_name(wanted), mode_name(mode_get()));
    }
    return !request->error_class;
}

bool request_needs_stopped(Request *request)
{
    if (runstate_is_running()) {
        request_fail(request, "NotStopped", "%s needs a stopped guest", request->command->name);
    }
    return !request->error_class;
}

void request_fail_if(Request *request, const char *why)
{
    if (why) {
        request_fail(request, "Failed", "%s", why);
    }
}

void request_reply_pauses(Request *request, const Pauses *pauses)
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

void request_reply_frozen(Request *request, pid_t pid)
{
    ram_own(pid, request->client);
    GString *blocks = g_string_new(NULL);
    ram_describe(blocks);
    request_reply(request, "frozen", "{\"pid\":%d,\"blocks\":%s}", (int)pid, blocks->str);
    g_string_free(blocks, TRUE);
}

void request_reply_digests(Request *request, uint64_t registers, const Digest128 *devices)
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

const char *log_lost(void) { return control.lost; }

void log_lost_set(const char *why)
{
    g_free(control.lost);
    control.lost = g_strdup(why);
}

int request_stream(Request *request)
{
    const char *name = request_str(request, "stream");
    const int fd = name ? stream_take(name) : -1;
    if (fd < 0) {
        request_fail(request, "NoStream", "attach a stream first, and name it in `stream`");
    }
    return fd;
}

bool request_segment_bounds(Request *request, int64_t *ms, int64_t *bytes)
{
    return request_int(request, "segmentMs", 1, 10000, 20, ms) &&
           request_int(request, "segmentBytes", 1024, 8 * 1024 * 1024, 1024 * 1024, bytes);
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

/* Where a replay stands, and what the log has next: `left` instructions further, an event of that code. Racy, which only a
 * replay that stands still is asked not to be. */
static void reply_replay(Request *request)
{
    if (mode_get() != MODE_PLAYING) {
        request_reply(request, "replay", "null");
        return;
    }
    const ReplayState at = replay_state;
    request_reply(request, "replay", "{\"icount\":%" PRIu64 ",\"left\":%d,\"event\":%u}", at.current_icount,
                  MAX(at.instruction_count, 0), at.data_kind);
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
    request_reply(request, "virtualNs", "%" PRId64,
                  mode_get() == MODE_DORMANT
                      ? cpu_get_clock()
                      : (int64_t)(*timers_i64(TIMERS_ICOUNT_BIAS) + (int64_t)(position() << *timers_shift())));
    request_reply(request, "hostNs", "%" PRIu64, now);
    request_reply(request, "ring", "{\"usedBytes\":%" PRIu64 ",\"capacityBytes\":%" PRIu64 "}", tap.ring_used_bytes,
                  tap.ring_capacity_bytes);
    request_reply(request, "segments", "%" PRIu64, tap.segments);
    request_reply(request, "events", "%" PRIu64, tap.events);
    request_reply(request, "rawBytes", "%" PRIu64, tap.raw_bytes);
    reply_replay(request);
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
    if (request_needs_mode(request, MODE_ARMED) && request_int(request, "ms", 1, 10000, 0, &ms) &&
        request_int(request, "bytes", 1024, 8 * 1024 * 1024, 0, &bytes)) {
        tap_set_bounds((uint64_t)ms, (uint64_t)bytes);
    }
}

static void run_pace(Request *request)
{
    double fraction;
    if (request_needs_mode(request, MODE_ARMED) && request_number(request, "fraction", 0, 0.95, &fraction)) {
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

/* A call is short: the control thread serves others in between. */
static void run_collapse(Request *request)
{
    int64_t block, offset;
    if (!request_int(request, "block", 0, INT32_MAX, 0, &block) ||
        !request_int(request, "offset", 0, INT64_MAX, 0, &offset)) {
        return;
    }
    RamPosition at = {(unsigned)block, (uint64_t)offset};
    const uint64_t collapsed = ram_collapse(&at, COLLAPSE_NS);
    request_reply(request, "collapsedBytes", "%" PRIu64, collapsed);
    request_reply(request, "done", "%s", at.block == UINT32_MAX ? "true" : "false");
    request_reply(request, "block", "%u", at.block == UINT32_MAX ? 0 : at.block);
    request_reply(request, "offset", "%" PRIu64, at.offset);
}

/* --- main loop --- */

static void run_digest(Request *request)
{
    uint64_t icount, registers;
    Digest128 devices;
    if (!request_needs_stopped(request)) {
        return;
    }
    request_fail_if(request, mode_digest(&icount, &registers, &devices));
    request_reply(request, "icount", "%" PRIu64, icount);
    request_reply_digests(request, registers, &devices);
    if (request_bool(request, "ram")) {
        const Digest128 ram = state_ram128();
        request_reply(request, "ram", "\"%016" PRIx64 "%016" PRIx64 "\"", ram.high, ram.low);
    }
}

static void run_freeze(Request *request)
{
    if (!request_needs_stopped(request)) {
        return;
    }
    const uint64_t begun = host_ns();
    const pid_t pid = ram_freeze();
    if (pid < 0) {
        request_fail(request, "Failed", "the frozen image could not be forked (out of memory or processes)");
        return;
    }
    ram_own(pid, request->client);
    request_reply(request, "ns", "%" PRIu64, host_ns() - begun);
    request_reply(request, "pid", "%d", (int)pid);
    reply_blocks(request, "blocks");
}

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

static const Command lease_out = {"lease", run_lease_out, true, mode_close_tap};
/* What it is for is done before any command runs in the main loop. */
static void run_stop_counting(Request *request) { (void)request; }
static const Command stop_counting = {"stop counting", run_stop_counting, true, NULL};
static const Command lose = {"lose", run_lose, true, mode_close_tap};

const Command control_commands[] = {
    {"hello", run_hello, false, NULL},
    {"status", run_status, false, NULL},
    {"segment", run_segment, false, NULL},
    {"pace", run_pace, false, NULL},
    {"renew", run_renew, false, NULL},
    {"thaw", run_thaw, false, NULL},
    {"collapse", run_collapse, false, NULL},
    {"probe", run_probe, true, NULL},
    {"arm", run_arm, true, NULL},
    {"disarm", run_disarm, true, mode_close_tap},
    {"finish", run_finish, true, NULL},
    {"resume", run_resume, true, mode_close_tap},
    {"relinquish", run_relinquish, true, NULL},
    {"reclaim", run_reclaim, true, mode_close_tap},
    {"stop", run_stop, true, NULL},
    {"cont", run_cont, true, NULL},
    {"restore", run_restore, true, NULL},
    {"play", run_play, true, NULL},
    {"continue", run_continue, true, NULL},
    {"digest", run_digest, true, NULL},
    {"freeze", run_freeze, true, NULL},
    {"live", run_live, true, mode_close_feed},
    {NULL, NULL, false, NULL},
};

void commands_client_gone(uint64_t client) { ram_thaw_of(client); }

int commands_tick(void)
{
    const uint64_t now = host_ns(), lease = lease_get();
    if (lease && now > lease && !mode_relinquished()) {
        lease_set(0);
        control_run(&lease_out);
    }
    const uint64_t counting_since = counting_since_ns();
    if (counting_since && now - counting_since > COUNTING_MS * 1000000ull) {
        control_run(&stop_counting);
    }
    if (mode_get() == MODE_PLAYING) {
        report_played();
        return PLAYING_TICK_MS;
    }
    if (mode_get() == MODE_ARMED && !mode_finished() && !control.lost) {
        const TapStatus tap = tap_status();
        if (tap.overflow) {
            log_lost_set("the log was made faster than it was read: the ring is full");
        } else if (tap.stream_gone_ns && now - tap.stream_gone_ns > STREAM_GRACE_MS * 1000000ull) {
            log_lost_set("the log's reader has gone");
        }
        if (control.lost) {
            control_run(&lose);
        }
    }
    return TICK_MS;
}
