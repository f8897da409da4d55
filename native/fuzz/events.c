/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes at all: the scanner must stay within its own invariants, and an error must last. */
#include "../core/events.h"

#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    trmig_event_scanner s;
    trmig_event_scanner_init(&s);
    uint64_t events = 0;
    for (size_t at = 0; at < size; at++) {
        int result = trmig_event_scan_byte(&s, data[at]);
        if (result == TRMIG_SCAN_EVENT) {
            events++;
            if (s.bytes != at + 1 || s.kind >= TRMIG_EVENT_COUNT) abort();
        } else if (s.bytes > at) {
            abort();
        }
        if (result == TRMIG_SCAN_ERROR) {
            if (!s.error || trmig_event_scan_byte(&s, 1) != TRMIG_SCAN_ERROR) abort();
            break;
        }
    }
    uint64_t counted = 0;
    for (size_t kind = 0; kind < TRMIG_EVENT_COUNT; kind++) counted += s.counts[kind];
    if (counted != events || s.events != events) abort();
    return 0;
}
