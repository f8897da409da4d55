/*
 * The source's side: record, hand over, or take back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "commands.h"

#include "clock.h"
#include "counting.h"
#include "ram.h"

#include <unistd.h>

/* A vCPU that runs for less than one in so many ns is idle. */
enum { IDLE_SHARE = 20 };

static void end_probe(Request *request)
{
    const uint64_t instructions = counting_probe_end() - request->begun_instructions;
    request_reply(request, "instructions", "%" PRIu64, instructions);
    request_reply(request, "busyNs", "%" PRIu64, mode_vcpu_busy_ns() - request->begun_busy_ns);
    request_reply(request, "ns", "%" PRIu64, host_ns() - request->begun_ns);
}

/* The first half translated the guest's code anew, for counting: only the second half shows its speed. */
static void measure_probe(Request *request)
{
    const uint64_t half_ns = host_ns() - request->begun_ns;
    const uint64_t busy_ns = mode_vcpu_busy_ns() - request->begun_busy_ns;
    request->begun_ns = host_ns();
    request->begun_busy_ns = mode_vcpu_busy_ns();
    request->begun_instructions = counting_probed();
    request->then = end_probe;
    /* A guest that sleeps shows no speed, however long one looks. */
    request->then_ns = request->begun_ns + (busy_ns > half_ns / IDLE_SHARE ? half_ns : 0);
}

void run_probe(Request *request)
{
    int64_t ms;
    if (!request_needs_mode(request, MODE_DORMANT) || !request_int(request, "ms", 10, 1000, 0, &ms)) {
        return;
    }
    request->begun_ns = host_ns();
    request->begun_busy_ns = mode_vcpu_busy_ns();
    request_fail_if(request, counting_probe());
    note_pause("probe", host_ns() - request->begun_ns);
    request->then = measure_probe;
    request->then_ns = request->begun_ns + (uint64_t)ms * 500000u;
}

void run_arm(Request *request)
{
    int64_t shift, ms, bytes;
    if (!request_needs_mode(request, MODE_DORMANT) || !request_int(request, "shift", 0, SHIFT_MAX, -1, &shift) ||
        !request_segment_bounds(request, &ms, &bytes)) {
        return;
    }
    const int fd = request_stream(request);
    if (fd < 0) {
        return;
    }
    ArmResult result;
    request_fail_if(
        request, mode_arm((int)shift, fd, (uint64_t)ms, (uint64_t)bytes, request_bool(request, "checkpoint"), &result));
    if (request->error_class) {
        close(fd);
        return;
    }
    log_lost_set(NULL);
    note_pause("arm", result.pauses.total_ns);
    request_reply(request, "shift", "%d", (int)shift);
    request_reply(request, "virtualNs", "%" PRIu64, result.virtual_ns);
    request_reply_pauses(request, &result.pauses);
    if (result.state) {
        gchar *base64 = g_base64_encode(result.state->data, result.state->len);
        request_reply(request, "deviceState", "\"%s\"", base64);
        g_free(base64);
        g_byte_array_unref(result.state);
        request_reply_frozen(request, result.frozen);
    }
}

void run_disarm(Request *request)
{
    Pauses pauses;
    uint64_t icount;
    if (!request_needs_mode(request, MODE_ARMED)) {
        return;
    }
    if (mode_relinquished()) {
        request_fail(request, "WrongMode", "this host has given the machine away");
        return;
    }
    lease_set(0);
    request_fail_if(request, mode_disarm(&pauses, &icount));
    note_pause("disarm", pauses.total_ns);
    request_reply(request, "icount", "%" PRIu64, icount);
    request_reply_pauses(request, &pauses);
}

void run_finish(Request *request)
{
    int64_t ms;
    FinishResult result;
    if (!request_needs_mode(request, MODE_ARMED) || !request_int(request, "leaseMs", 1, LEASE_MS_MAX, 0, &ms)) {
        return;
    }
    if (mode_finished()) {
        request_fail(request, "WrongMode", "the log is finished already");
        return;
    }
    request_fail_if(request, mode_finish(&result));
    lease_set(ms);
    note_pause("finish", result.pauses.total_ns);
    request_reply(request, "hostNs", "%" PRIu64, result.host_ns);
    request_reply(request, "icount", "%" PRIu64, result.icount);
    request_reply(request, "virtualNs", "%" PRIu64, result.virtual_ns);
    request_reply_digests(request, result.registers, &result.devices);
    request_reply_pauses(request, &result.pauses);
}

void run_resume(Request *request)
{
    if (mode_get() == MODE_ARMED) {
        run_disarm(request);
        return;
    }
    lease_set(0);
    request_fail_if(request, mode_cont());
}

void run_relinquish(Request *request)
{
    if (!mode_finished() || mode_get() != MODE_ARMED) {
        request_fail(request, "WrongMode", "only a machine whose log is finished can be given away");
        return;
    }
    lease_set(0);
    request_fail_if(request, mode_relinquish());
}

void run_reclaim(Request *request)
{
    if (!mode_relinquished()) {
        request_fail(request, "WrongMode", "this machine was not given away");
        return;
    }
    request_fail_if(request, mode_reclaim());
    run_disarm(request);
}

void run_stop(Request *request)
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
    request_fail_if(request, mode_stop(&ns));
    lease_set(ms);
    request_reply(request, "ns", "%" PRIu64, ns);
}

void run_cont(Request *request)
{
    if (mode_get() == MODE_PLAYING || mode_finished()) {
        request_fail(request, "WrongMode", "this guest was not stopped by `stop`");
        return;
    }
    lease_set(0);
    request_fail_if(request, mode_cont());
}
