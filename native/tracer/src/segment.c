/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "segment.h"

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

uint64_t digest64(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }
