/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "tap.h"

#include "../../core/events.h"
#include "clock.h"
#include "mode.h"
#include "qemu.h"
#include "segment.h"
#include "state.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RING_BYTES_MAX = 64 * 1024 * 1024,
    EVENT_CHECKPOINT_WARP_ACCOUNT = 31, /* written once a round by the vCPU's loop, between two slices */
};

static struct {
    GMutex lock;
    GCond wake; /* something was queued, or the tap is closing */
    GThread *sender;
    int stream_fd;

    GByteArray *pending; /* bytes since the last cut; whole events but for the tail that is being written */
    size_t whole_bytes;  /* of which whole events */
    uint64_t whole_events;
    uint64_t pending_since_ns;
    uint64_t cut_ns;  /* when the last segment was cut */
    uint64_t busy_ns; /* the vCPU's CPU time when the sender last looked */
    bool hurry;       /* the vCPU was kicked: cut as soon as it is between two slices */
    trmig_event_scanner scanner;
    uint64_t cut_instructions; /* instructions up to the last cut */
    uint64_t exceptions_at;    /* instructions before the exceptions that are not in the log (yet) */
    unsigned exceptions;       /* how many there are, at that one instruction */
    uint64_t seq, cut_events;
    uint64_t segment_ns, segment_bytes;

    GQueue ring; /* of Segment, cut but not yet sent; owned */
    uint64_t ring_bytes, raw_bytes;
    bool open, closing, overflow, sending;
    bool finished; /* the final segment is cut: what QEMU still writes, stopped, is no part of the log */
    uint64_t stream_gone_ns;
} tap = {.stream_fd = -1};

/* The guest's clock at the last whole event. Not icount_get(): the writer may hold the seqlock that it would spin on. */
static uint64_t virtual_ns(void)
{
    return (uint64_t)__atomic_load_n(timers_i64(TIMERS_ICOUNT_BIAS), __ATOMIC_RELAXED) +
           (tap.scanner.instructions << *timers_shift());
}

/* Cuts what is whole into a segment. Lock held. `canary` is NULL where the registers are not those of this instruction. */
static void cut(uint16_t flags, const uint64_t *canary)
{
    const SegmentHeader header = {
        .magic = SEGMENT_MAGIC,
        .kind = SEGMENT_KIND,
        .flags = flags | (canary ? SEGMENT_FLAG_CANARY : 0),
        .payload_bytes = (uint32_t)tap.whole_bytes,
        .events = (uint32_t)tap.whole_events,
        .seq = tap.seq++,
        .from = tap.cut_instructions,
        .to = tap.scanner.instructions,
        .canary = canary ? *canary : 0,
        .virtual_ns = virtual_ns(),
        .host_ns = host_ns(),
        .checksum = digest64(tap.pending->data, tap.whole_bytes),
    };
    tap.cut_instructions = header.to;
    tap.cut_events += header.events;
    if (tap.ring_bytes + header.payload_bytes > RING_BYTES_MAX) {
        tap.overflow = true;
    } else {
        g_queue_push_tail(&tap.ring, segment_new(&header, tap.pending->data));
        tap.ring_bytes += header.payload_bytes + SEGMENT_HEADER_BYTES;
    }
    g_byte_array_remove_range(tap.pending, 0, (guint)tap.whole_bytes);
    tap.whole_bytes = 0;
    tap.whole_events = 0;
    tap.cut_ns = header.host_ns;
    tap.hurry = false;
    g_cond_signal(&tap.wake);
}

/* An event has just become whole. Lock held; vCPU or main thread, replay mutex held. */
static void on_event(void)
{
    const uint64_t now = host_ns();
    if (tap.whole_events == 0) {
        tap.pending_since_ns = now;
    }
    tap.whole_events++;
    tap.whole_bytes = tap.pending->len;

    const bool full = tap.whole_bytes >= tap.segment_bytes;
    const bool due = full || tap.hurry || now - tap.pending_since_ns >= tap.segment_ns;
    if (due && tap.scanner.kind == EVENT_CHECKPOINT_WARP_ACCOUNT && qemu_in_vcpu_thread()) {
        /* Between two slices the registers are whole, and the replaying vCPU asks for the next byte at this very place. */
        const uint64_t canary = state_registers64();
        cut(0, &canary);
    } else if (tap.whole_bytes >= SEGMENT_PAYLOAD_BYTES_MAX / 2) {
        cut(0, NULL);
    }
}

bool tap_hurry(void)
{
    g_mutex_lock(&tap.lock);
    tap.hurry = !tap.finished && host_ns() - tap.cut_ns >= tap.segment_ns;
    const bool hurry = tap.hurry;
    g_mutex_unlock(&tap.lock);
    return hurry;
}

/* Lock held. */
static void append(uint8_t byte)
{
    g_byte_array_append(tap.pending, &byte, 1);
    tap.raw_bytes++;
    if (trmig_event_scan_byte(&tap.scanner, byte) == TRMIG_SCAN_EVENT) {
        on_event();
    }
}

/* Something happens at this instruction: exceptions taken there before it come before it in the log. Lock held, between two
 * events. */
static void log_exceptions(void)
{
    const unsigned here = tap.exceptions_at == tap.scanner.instructions ? tap.exceptions : 0;
    tap.exceptions = 0;
    for (unsigned i = 0; i < here; i++) {
        append(TRMIG_EVENT_EXCEPTION);
    }
}

/* fopencookie's write: QEMU's putc, one byte at a time. vCPU or main thread, replay mutex held. */
static ssize_t tap_write(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    g_mutex_lock(&tap.lock);
    for (size_t i = 0; i < size && !tap.overflow && !tap.finished; i++) {
        if (tap.exceptions > 0 && !tap.scanner.step && (uint8_t)bytes[i] != TRMIG_EVENT_INSTRUCTION) {
            log_exceptions();
        }
        append((uint8_t)bytes[i]);
    }
    g_mutex_unlock(&tap.lock);
    return (ssize_t)size;
}

void tap_exception(uint64_t instructions)
{
    g_mutex_lock(&tap.lock);
    if (tap.exceptions_at != instructions) {
        tap.exceptions_at = instructions;
        tap.exceptions = 0;
    }
    tap.exceptions++;
    g_mutex_unlock(&tap.lock);
}

/* QEMU seeks over its file header once, and asks for the offset when it saves a snapshot: neither happens here. */
static int tap_seek(void *cookie, off64_t *offset, int whence)
{
    (void)cookie;
    if (whence == SEEK_CUR && *offset == 0) {
        *offset = (off64_t)tap.raw_bytes;
        return 0;
    }
    errno = ESPIPE;
    return -1;
}

static bool send_all(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* A vCPU that computes logs nothing until its slice ends, which can take longer than a segment may: ends the slice. One that
 * sleeps is not woken. Lock held. */
static void end_slice_if_late(uint64_t now)
{
    if (tap.finished || now - tap.cut_ns < tap.segment_ns) {
        return;
    }
    const uint64_t busy_ns = mode_vcpu_busy_ns();
    if (busy_ns - tap.busy_ns > tap.segment_ns / 2) {
        tap.hurry = true;
        qemu_cpu_kick(qemu_get_cpu(0));
    }
    tap.busy_ns = busy_ns;
}

/* The tap's own thread: takes none of QEMU's locks. */
static gpointer sender_thread(gpointer unused)
{
    (void)unused;
    g_mutex_lock(&tap.lock);
    for (;;) {
        Segment *segment = tap.stream_gone_ns ? NULL : g_queue_pop_head(&tap.ring);
        if (segment) {
            tap.sending = true;
            g_mutex_unlock(&tap.lock);
            const bool sent = send_all(tap.stream_fd, &segment->header, sizeof(segment->header)) &&
                              send_all(tap.stream_fd, segment->payload, segment->header.payload_bytes);
            g_mutex_lock(&tap.lock);
            tap.sending = false;
            if (sent) {
                tap.ring_bytes -= segment->header.payload_bytes + SEGMENT_HEADER_BYTES;
            } else {
                tap.stream_gone_ns = host_ns();
            }
            segment_free(segment);
            g_cond_broadcast(&tap.wake);
            continue;
        }
        if (tap.closing) {
            break;
        }
        /* A sleeping vCPU cuts nothing: what has waited for two periods goes without a canary. */
        const uint64_t now = host_ns();
        if (tap.whole_bytes > 0 && now - tap.pending_since_ns >= 2 * tap.segment_ns) {
            cut(0, NULL);
            continue;
        }
        end_slice_if_late(now);
        const uint64_t wait_ns = CLAMP(tap.segment_ns, 1000000u, 100000000u);
        g_cond_wait_until(&tap.wake, &tap.lock, g_get_monotonic_time() + (gint64)(wait_ns / 1000));
    }
    g_mutex_unlock(&tap.lock);
    return NULL;
}

FILE *tap_open(int stream_fd, uint64_t segment_ms, uint64_t segment_bytes, const TapStart *start)
{
    g_mutex_lock(&tap.lock);
    trmig_event_scanner_init(&tap.scanner);
    tap.scanner.clock[0] = start->clocks[0];
    tap.scanner.clock[1] = start->clocks[1];
    tap.scanner.instructions = tap.cut_instructions = start->instructions;
    tap.scanner.block_events = start->block_events;
    tap.seq = start->seq;
    tap.pending = g_byte_array_sized_new(256 * 1024);
    tap.whole_bytes = tap.whole_events = tap.cut_events = 0;
    tap.raw_bytes = tap.ring_bytes = tap.stream_gone_ns = tap.busy_ns = 0;
    tap.cut_ns = host_ns();
    tap.hurry = false;
    tap.exceptions = 0;
    tap.closing = tap.overflow = tap.sending = tap.finished = false;
    tap.segment_ns = segment_ms * 1000000u;
    tap.segment_bytes = segment_bytes;
    tap.stream_fd = stream_fd;
    tap.open = true;
    g_queue_init(&tap.ring);
    g_mutex_unlock(&tap.lock);

    const cookie_io_functions_t functions = {.write = tap_write, .seek = tap_seek};
    FILE *file = fopencookie(NULL, "w", functions);
    if (!file) {
        g_error("trmig: fopencookie: %s", g_strerror(errno));
    }
    /* Unbuffered: the tap must see each event when it happens, to cut and to digest at that very instruction. */
    setvbuf(file, NULL, _IONBF, 0);
    tap.sender = g_thread_new("trmig-tap", sender_thread, NULL);
    return file;
}

void tap_set_bounds(uint64_t segment_ms, uint64_t segment_bytes)
{
    g_mutex_lock(&tap.lock);
    tap.segment_ns = segment_ms * 1000000u;
    tap.segment_bytes = segment_bytes;
    g_cond_signal(&tap.wake);
    g_mutex_unlock(&tap.lock);
}

void tap_finish(void)
{
    g_mutex_lock(&tap.lock);
    log_exceptions();
    if (!tap.overflow) {
        cut(SEGMENT_FLAG_FINAL, NULL);
    }
    tap.finished = true;
    g_mutex_unlock(&tap.lock);
}

void tap_last_clocks(int64_t clocks[2])
{
    g_mutex_lock(&tap.lock);
    clocks[0] = tap.scanner.clock[0];
    clocks[1] = tap.scanner.clock[1];
    g_mutex_unlock(&tap.lock);
}

uint64_t tap_block_events(void)
{
    g_mutex_lock(&tap.lock);
    const uint64_t events = tap.scanner.block_events;
    g_mutex_unlock(&tap.lock);
    return events;
}

void tap_close(FILE *file, unsigned timeout_ms)
{
    const gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000;
    g_mutex_lock(&tap.lock);
    while ((!g_queue_is_empty(&tap.ring) || tap.sending) && !tap.stream_gone_ns) {
        if (!g_cond_wait_until(&tap.wake, &tap.lock, deadline)) {
            break;
        }
    }
    tap.closing = true;
    g_cond_broadcast(&tap.wake);
    g_mutex_unlock(&tap.lock);

    shutdown(tap.stream_fd, SHUT_WR); /* also ends a send that the reader does not take */
    g_thread_join(tap.sender);

    g_mutex_lock(&tap.lock);
    g_queue_clear_full(&tap.ring, (GDestroyNotify)segment_free);
    g_byte_array_unref(tap.pending);
    close(tap.stream_fd);
    tap.pending = NULL;
    tap.stream_fd = -1;
    tap.open = false;
    g_mutex_unlock(&tap.lock);
    fclose(file);
}

TapStatus tap_status(void)
{
    g_mutex_lock(&tap.lock);
    const TapStatus status = {
        .ring_used_bytes = tap.ring_bytes,
        .ring_capacity_bytes = RING_BYTES_MAX,
        .segments = tap.seq,
        .events = tap.cut_events + tap.whole_events,
        .raw_bytes = tap.raw_bytes,
        .instructions = tap.scanner.instructions,
        .stream = tap.open && !tap.stream_gone_ns,
        .stream_gone_ns = tap.stream_gone_ns,
        .overflow = tap.overflow,
    };
    g_mutex_unlock(&tap.lock);
    return status;
}
