/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "feed.h"

#include "../../core/events.h"
#include "clock.h"
#include "qemu.h"
#include "segment.h"
#include "state.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_BYTES_MAX = 32 * 1024 * 1024 };

static struct {
    GMutex lock;
    GCond changed;
    GThread *reader;
    int stream_fd;
    void (*on_first)(void);
    void (*on_end)(void);

    GQueue queue; /* of Segment, read but not yet begun; owned */
    uint64_t queue_bytes;
    Segment *current; /* owned; NULL before the first and between two */
    size_t offset;    /* of `current`, handed out */
    FeedEnd end, stream_end;
    uint64_t until;
    FeedPlayed played;
    FeedDivergence divergence;
    bool closing;
} feed = {.stream_fd = -1};

static bool receive_all(int fd, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    while (size > 0) {
        const ssize_t got = recv(fd, at, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* Reads one frame. Returns NULL and sets `end` when there is none, or it is damaged. Feed's thread, no locks. */
static Segment *receive_segment(int fd, uint64_t seq, uint64_t from, FeedEnd *end)
{
    SegmentHeader header;
    if (!receive_all(fd, &header, sizeof(header))) {
        *end = FEED_LOST;
        return NULL;
    }
    if (!segment_header_fits(&header, seq, from)) {
        *end = FEED_DAMAGED;
        return NULL;
    }
    Segment *segment = g_new0(Segment, 1);
    segment->header = header;
    segment->payload = g_malloc(header.payload_bytes + 1);
    if (!receive_all(fd, segment->payload, header.payload_bytes)) {
        segment_free(segment);
        *end = FEED_LOST;
        return NULL;
    }
    if (!segment_holds(&header, segment->payload)) {
        segment_free(segment);
        *end = FEED_DAMAGED;
        return NULL;
    }
    return segment;
}

static gpointer reader_thread(gpointer unused)
{
    (void)unused;
    uint64_t seq = 0, from = 0;
    FeedEnd end = FEED_RUNNING;
    for (bool first = true; end == FEED_RUNNING; first = false) {
        Segment *segment = receive_segment(feed.stream_fd, seq, from, &end);
        g_mutex_lock(&feed.lock);
        if (segment) {
            seq++;
            from = segment->header.to;
            while (feed.queue_bytes > QUEUE_BYTES_MAX && !feed.closing) {
                g_cond_wait(&feed.changed, &feed.lock);
            }
            feed.queue_bytes += segment->header.payload_bytes;
            g_queue_push_tail(&feed.queue, segment);
        }
        feed.stream_end = end;
        g_cond_broadcast(&feed.changed);
        const bool closing = feed.closing;
        g_mutex_unlock(&feed.lock);
        if (first && !closing) {
            feed.on_first();
        }
        if (closing) {
            break;
        }
    }
    return NULL;
}

/* QEMU has consumed the whole of `current`. Lock held; vCPU or main thread, replay mutex held. */
static void end_segment(void)
{
    const SegmentHeader *header = &feed.current->header;
    if (header->flags & SEGMENT_FLAG_CANARY) {
        const uint64_t actual = state_registers64();
        if (actual != header->canary) {
            feed.divergence = (FeedDivergence){header->seq, header->to, header->canary, actual};
            feed.end = FEED_DIVERGED;
        }
    }
    feed.played.seq = header->seq;
    feed.played.icount = header->to;
    feed.played.virtual_ns = header->virtual_ns;
    feed.played.host_ns = header->host_ns;
    feed.played.segments++;
    if (feed.end == FEED_RUNNING && (header->flags & SEGMENT_FLAG_FINAL)) {
        feed.end = FEED_FINAL;
    } else if (feed.end == FEED_RUNNING && header->to >= feed.until) {
        feed.end = FEED_UNTIL;
    }
    segment_free(feed.current);
    feed.current = NULL;
    feed.offset = 0;
}

/* Waits for the next segment, or for the reason that there is none. Lock held. */
static void begin_segment(void)
{
    const uint64_t begun = host_ns();
    while (g_queue_is_empty(&feed.queue) && feed.stream_end == FEED_RUNNING && !feed.closing) {
        g_cond_wait(&feed.changed, &feed.lock);
    }
    feed.played.wait_ns += host_ns() - begun;
    feed.current = g_queue_pop_head(&feed.queue);
    if (!feed.current) {
        feed.end = feed.stream_end == FEED_DAMAGED ? FEED_DAMAGED : FEED_LOST;
        return;
    }
    feed.queue_bytes -= feed.current->header.payload_bytes;
    if (feed.until > feed.current->header.from && feed.until <= feed.current->header.to) {
        Segment *after = segment_split(feed.current, feed.until);
        g_queue_push_head(&feed.queue, after);
        feed.queue_bytes += after->header.payload_bytes;
    }
    g_cond_broadcast(&feed.changed);
}

/* fopencookie's read. vCPU or main thread, replay mutex held; blocks while the log is behind. */
static ssize_t feed_read(void *cookie, char *bytes, size_t size)
{
    (void)cookie;
    ssize_t got = 0;
    g_mutex_lock(&feed.lock);
    while (got == 0) {
        if (feed.current && feed.offset < feed.current->header.payload_bytes) {
            got = (ssize_t)MIN(size, feed.current->header.payload_bytes - feed.offset);
            memcpy(bytes, feed.current->payload + feed.offset, (size_t)got);
            feed.offset += (size_t)got;
        } else if (feed.current) {
            end_segment();
        } else if (feed.end != FEED_RUNNING) {
            bytes[0] = TRMIG_EVENT_END;
            got = 1;
            feed.on_end();
        } else {
            begin_segment();
        }
    }
    g_mutex_unlock(&feed.lock);
    return got;
}

FILE *feed_open(int stream_fd, uint64_t until, void (*on_first)(void), void (*on_end)(void))
{
    g_mutex_lock(&feed.lock);
    feed.stream_fd = stream_fd;
    feed.until = until;
    feed.on_first = on_first;
    feed.on_end = on_end;
    feed.end = feed.stream_end = FEED_RUNNING;
    feed.played = (FeedPlayed){0};
    feed.closing = false;
    feed.queue_bytes = 0;
    feed.offset = 0;
    g_queue_init(&feed.queue);
    g_mutex_unlock(&feed.lock);

    const cookie_io_functions_t functions = {.read = feed_read};
    FILE *file = fopencookie(NULL, "r", functions);
    if (!file) {
        g_error("trmig: fopencookie: %s", g_strerror(errno));
    }
    feed.reader = g_thread_new("trmig-feed", reader_thread, NULL);
    return file;
}

void feed_continue(uint64_t until)
{
    g_mutex_lock(&feed.lock);
    feed.until = until;
    feed.end = FEED_RUNNING;
    g_mutex_unlock(&feed.lock);
}

FeedEnd feed_end(void)
{
    g_mutex_lock(&feed.lock);
    const FeedEnd end = feed.end;
    g_mutex_unlock(&feed.lock);
    return end;
}

FeedPlayed feed_played(void)
{
    g_mutex_lock(&feed.lock);
    const FeedPlayed played = feed.played;
    g_mutex_unlock(&feed.lock);
    return played;
}

FeedDivergence feed_divergence(void)
{
    g_mutex_lock(&feed.lock);
    const FeedDivergence divergence = feed.divergence;
    g_mutex_unlock(&feed.lock);
    return divergence;
}

void feed_close(FILE *file)
{
    g_mutex_lock(&feed.lock);
    feed.closing = true;
    g_cond_broadcast(&feed.changed);
    g_mutex_unlock(&feed.lock);
    shutdown(feed.stream_fd, SHUT_RDWR);
    g_thread_join(feed.reader);
    g_queue_clear_full(&feed.queue, (GDestroyNotify)segment_free);
    segment_free(feed.current);
    feed.current = NULL;
    close(feed.stream_fd);
    feed.stream_fd = -1;
    fclose(file);
}
