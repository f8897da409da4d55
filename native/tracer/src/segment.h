/*
 * The frame that crosses a stream, either way: docs/tracer-protocol.md, "Streams". Little-endian, 72 bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_SEGMENT_H
#define TRMIG_SEGMENT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SEGMENT_MAGIC = 0x314c5254,
    SEGMENT_KIND = 1,
    SEGMENT_FLAG_CANARY = 1,
    SEGMENT_FLAG_FINAL = 2,
    SEGMENT_HEADER_BYTES = 72,
    SEGMENT_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024,
};

/* The on-stream layout; all hosts that QEMU 10.0's Debian builds run this plugin on are little-endian. */
typedef struct __attribute__((packed)) {
    uint32_t magic;
    uint16_t kind;
    uint16_t flags;
    uint32_t payload_bytes;
    uint32_t events;
    uint64_t seq;
    uint64_t from;
    uint64_t to;
    uint64_t canary;
    uint64_t virtual_ns;
    uint64_t host_ns;
    uint64_t checksum;
} SegmentHeader;

_Static_assert(sizeof(SegmentHeader) == SEGMENT_HEADER_BYTES, "the frame's header is 72 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are little-endian");

typedef struct {
    SegmentHeader header;
    uint8_t *payload; /* owned */
} Segment;

Segment *segment_new(const SegmentHeader *header, const uint8_t *payload);
void segment_free(Segment *segment);

/* What crosses a stream is foreign until these two have said yes. */

/* Whether a header is the one that a stream's next frame must have: segment `seq`, from instruction `from` on. */
bool segment_header_fits(const SegmentHeader *header, uint64_t seq, uint64_t from);
/* Whether `payload` (of the length that the header says) is what the header says: QEMU aborts on bytes that it does not
 * understand, so nothing reaches it that has not been scanned. */
bool segment_holds(const SegmentHeader *header, const uint8_t *payload);

/* Cuts a checked segment at the first arrival at `until`, which lies within it: it ends there, without its canary, and
 * what comes after is returned. */
Segment *segment_split(Segment *segment, uint64_t until);

/* XXH3-64, seed 0. */
uint64_t digest64(const void *bytes, size_t size);

#endif
