/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "segment.h"

#include "../../core/events.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

Segment *segment_new(const SegmentHeader *header, const uint8_t *payload)
{
    Segment *segment = g_new0(Segment, 1);
    segment->header = *header;
    segment->payload = g_memdup2(payload, header->payload_bytes);
    return segment;
}

void segment_free(Segment *segment)
{
    if (segment) {
        g_free(segment->payload);
        g_free(segment);
    }
}

bool segment_header_fits(const SegmentHeader *header, uint64_t seq, uint64_t from)
{
    return header->magic == SEGMENT_MAGIC && header->kind == SEGMENT_KIND && header->seq == seq &&
           header->from == from && header->to >= header->from && header->payload_bytes <= SEGMENT_PAYLOAD_BYTES_MAX;
}

bool segment_holds(const SegmentHeader *header, const uint8_t *payload)
{
    trmig_event_scanner scanner;
    trmig_event_scanner_init(&scanner);
    int last = TRMIG_SCAN_EVENT;
    for (uint32_t i = 0; i < header->payload_bytes && last != TRMIG_SCAN_ERROR; i++) {
        last = trmig_event_scan_byte(&scanner, payload[i]);
    }
    return last == TRMIG_SCAN_EVENT && scanner.instructions == header->to - header->from &&
           scanner.events == header->events && scanner.counts[TRMIG_EVENT_END] == 0 &&
           digest64(payload, header->payload_bytes) == header->checksum;
}

Segment *segment_split(Segment *segment, uint64_t until)
{
    trmig_event_scanner scanner;
    trmig_event_scanner_init(&scanner);
    uint64_t before = 0; /* instructions before the event that is being scanned */
    size_t at = 0;
    for (; at < segment->header.payload_bytes; at++) {
        if (trmig_event_scan_byte(&scanner, segment->payload[at]) == TRMIG_SCAN_EVENT) {
            if (segment->header.from + scanner.instructions >= until) {
                break;
            }
            before = scanner.instructions;
        }
    }
    /* The event ending at `at` is an INSTRUCTION event (5 bytes): only those advance the count. */
    const size_t event = at + 1 - 5;
    const uint64_t rest = segment->header.from + scanner.instructions - until;
    const uint64_t now = until - segment->header.from - before;

    Segment *after = g_new0(Segment, 1);
    after->header = segment->header;
    after->header.from = until;
    const size_t tail = segment->header.payload_bytes - (at + 1);
    const size_t head = rest > 0 ? 5 : 0;
    after->payload = g_malloc(head + tail + 1);
    if (head) {
        const uint32_t big = GUINT32_TO_BE((uint32_t)rest);
        after->payload[0] = TRMIG_EVENT_INSTRUCTION;
        memcpy(after->payload + 1, &big, 4);
    }
    memcpy(after->payload + head, segment->payload + at + 1, tail);
    after->header.payload_bytes = (uint32_t)(head + tail);

    const uint32_t big = GUINT32_TO_BE((uint32_t)now);
    memcpy(segment->payload + event + 1, &big, 4);
    segment->header.payload_bytes = (uint32_t)(at + 1);
    segment->header.to = until;
    segment->header.flags = 0;
    return after;
}

uint64_t digest64(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }
