/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tracer's side of a stream: a frame of any bytes is refused or is a segment, and a segment that is cut anywhere is two.
 * The input: flags (bit 0: the checksum is as it came), where to cut, then header and payload. */
#include "../tracer/src/segment.h"

#include "../core/events.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Instructions and events of a payload; aborts when it is not whole events. */
static void count(const Segment *segment, uint64_t *instructions, uint64_t *events) {
    trmig_event_scanner scanner;
    trmig_event_scanner_init(&scanner);
    int last = TRMIG_SCAN_EVENT;
    for (uint32_t i = 0; i < segment->header.payload_bytes; i++) {
        last = trmig_event_scan_byte(&scanner, segment->payload[i]);
    }
    if (last != TRMIG_SCAN_EVENT) {
        abort();
    }
    *instructions = scanner.instructions;
    *events = scanner.events;
}

static void cut(Segment *segment, uint64_t until) {
    const uint64_t from = segment->header.from, to = segment->header.to;
    uint64_t instructions, events, instructions_after, events_after;
    Segment *after = segment_split(segment, until);
    count(segment, &instructions, &events);
    count(after, &instructions_after, &events_after);
    if (from + instructions != until || until + instructions_after != to || segment->header.to != until ||
        after->header.from != until || after->header.to != to) {
        abort();
    }
    segment_free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    SegmentHeader header;
    if (size < 2 + sizeof(header)) {
        return 0;
    }
    memcpy(&header, data + 2, sizeof(header));
    const uint8_t *payload = data + 2 + sizeof(header);
    const size_t there = size - 2 - sizeof(header);
    if (!segment_header_fits(&header, header.seq, header.from) || header.payload_bytes > there) {
        return 0;
    }
    if (!(data[0] & 1)) {
        header.checksum = digest64(payload, header.payload_bytes);
    }
    if (!segment_holds(&header, payload)) {
        return 0;
    }
    if (header.to == header.from) {
        return 0;
    }
    Segment *segment = segment_new(&header, payload);
    cut(segment, header.from + 1 + (header.to - header.from - 1) * data[1] / 255);
    segment_free(segment);
    return 0;
}
