/*
 * The destination's side: restore, replay, go live.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "commands.h"

#include "clock.h"
#include "feed.h"
#include "ram.h"

static FeedPlayed reported;

void run_restore(Request *request)
{
    int64_t shift;
    gsize size;
    if (!request_needs_mode(request, MODE_DORMANT) || !request_needs_stopped(request) ||
        !request_int(request, "shift", 0, SHIFT_MAX, -1, &shift)) {
        return;
    }
    const char *base64 = request_str(request, "deviceState");
    if (!base64) {
        return;
    }
    const uint64_t begun = host_ns();
    guchar *blob = g_base64_decode(base64, &size);
    request_fail_if(request, mode_restore((int)shift, blob, size));
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
        data = g_strdup_printf("\"icount\":%" PRIu64 ",\"virtualNs\":%" PRId64
                               ",\"final\":%s,\"why\":\"%s\",\"registers\":\"%016" PRIx64 "\",\"devices\":\"%016" PRIx64
                               "%016" PRIx64 "\",\"digestNs\":%" PRIu64,
                               played.icount, icount_get(), end == FEED_FINAL ? "true" : "false", why[end], registers,
                               devices.high, devices.low, host_ns() - begun);
        control_event("reached", data);
    }
    g_free(data);
}

/* The feed's thread. */
static void on_first_segment(void)
{
    aio_bh_schedule_oneshot_full(qemu_get_aio_context(), start_playing, NULL, "trmig");
}
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

void run_play(Request *request)
{
    uint64_t until;
    if (!request_needs_mode(request, MODE_DORMANT) || !request_needs_stopped(request) ||
        !until_argument(request, &until)) {
        return;
    }
    if (!use_icount) {
        request_fail(request, "WrongMode", "restore a device state first");
        return;
    }
    const int fd = request_stream(request);
    if (fd < 0) {
        return;
    }
    reported = (FeedPlayed){0};
    request_fail_if(request, mode_play(fd, until, on_first_segment, on_log_end));
}

void run_continue(Request *request)
{
    uint64_t until;
    if (!request_needs_mode(request, MODE_PLAYING) || !until_argument(request, &until)) {
        return;
    }
    const FeedEnd end = feed_end();
    if ((end != FEED_UNTIL && end != FEED_FINAL) || runstate_is_running()) {
        request_fail(request, "WrongMode", "only a replay that stopped at `until` or a final segment can continue");
        return;
    }
    request_fail_if(request, mode_continue(until));
}

void run_live(Request *request)
{
    Pauses pauses;
    uint64_t virtual_ns;
    int64_t ms, bytes;
    if (!request_needs_mode(request, MODE_PLAYING) || !request_segment_bounds(request, &ms, &bytes)) {
        return;
    }
    if (!mode_finished()) {
        request_fail(request, "WrongMode", "the log has not been replayed to its end");
        return;
    }
    const bool armed = request->arguments && qdict_haskey(request->arguments, "stream");
    const int fd = armed ? request_stream(request) : -1;
    if (request->error_class) {
        return;
    }
    const uint64_t begun = host_ns();
    const pid_t frozen = request_bool(request, "freeze") ? ram_freeze() : 0;
    const uint64_t freeze_ns = host_ns() - begun;
    if (armed) {
        log_lost_set(NULL);
        request_fail_if(request, mode_live_armed(fd, (uint64_t)ms, (uint64_t)bytes, &pauses, &virtual_ns));
    } else {
        request_fail_if(request, mode_live(&pauses, &virtual_ns));
    }
    request_reply(request, "hostNs", "%" PRIu64, begun + freeze_ns + pauses.total_ns);
    pauses.freeze_ns = freeze_ns;
    pauses.total_ns += freeze_ns;
    note_pause("live", pauses.total_ns);
    if (frozen > 0) {
        request_reply_frozen(request, frozen);
    }
    request_reply(request, "virtualNs", "%" PRIu64, virtual_ns);
    request_reply_pauses(request, &pauses);
}

void report_played(void)
{
    const FeedPlayed played = feed_played();
    if (played.segments == reported.segments) {
        return;
    }
    reported = played;
    char *data = g_strdup_printf("\"seq\":%" PRIu64 ",\"icount\":%" PRIu64 ",\"virtualNs\":%" PRIu64
                                 ",\"hostNs\":%" PRIu64 ",\"waitNs\":%" PRIu64,
                                 played.seq, played.icount, played.virtual_ns, played.host_ns, played.wait_ns);
    control_event("played", data);
    g_free(data);
}
