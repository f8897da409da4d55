/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each event's payload is spelled as a short string of fields, checked against the put functions of QEMU 10.0's replay
 * code; the scanner walks it. See events.h for what holds.
 */
#include "events.h"

#include <stddef.h>
#include <string.h>

/*
 * Fields: 1, 4, 8  an integer of so many bytes, big-endian
 *         n        4 bytes: instructions, 1 … INT32_MAX (zero would stall a replay for ever)
 *         a        4 bytes: a length, then so many bytes
 *         s        no bytes of its own: 16 bytes (left, right) for each sample that the first operand announces
 *         i        4 bytes: kind of input event, whose fields replace what follows
 *         k        4 bytes: kind of key value, likewise
 * NULL is a code that QEMU never writes (21 is ShutdownCause's own end mark).
 */
static const char *const event_fields[TRMIG_EVENT_COUNT] = {
    [TRMIG_EVENT_INSTRUCTION] = "n",
    [TRMIG_EVENT_INTERRUPT] = "",
    [TRMIG_EVENT_EXCEPTION] = "",
    [TRMIG_EVENT_BH] = "8",
    [TRMIG_EVENT_BH_ONESHOT] = "8",
    [TRMIG_EVENT_INPUT] = "i",
    [TRMIG_EVENT_INPUT_SYNC] = "",
    [TRMIG_EVENT_CHAR_READ] = "1a",
    [TRMIG_EVENT_BLOCK] = "8",
    [TRMIG_EVENT_NET] = "14a",
    [10] = "",
    [11] = "",
    [12] = "",
    [13] = "",
    [14] = "",
    [15] = "",
    [16] = "",
    [17] = "",
    [18] = "",
    [19] = "",
    [20] = "",
    [TRMIG_EVENT_CHAR_WRITE] = "44",
    [TRMIG_EVENT_CHAR_READ_ALL] = "a",
    [TRMIG_EVENT_CHAR_READ_ALL_ERROR] = "4",
    [TRMIG_EVENT_AUDIO_OUT] = "8",
    /* QEMU writes no samples when a read fills its whole ring, whose size the log does not hold. Sound is outside the
     * determinism profile; a log with such a read is refused at some later byte, not here. */
    [TRMIG_EVENT_AUDIO_IN] = "88s",
    [TRMIG_EVENT_RANDOM] = "4a",
    [TRMIG_EVENT_CLOCK_HOST] = "8",
    [TRMIG_EVENT_CLOCK_VIRTUAL_RT] = "8",
    [30] = "",
    [31] = "",
    [32] = "",
    [33] = "",
    [34] = "",
    [35] = "",
    [36] = "",
    [37] = "",
    [38] = "",
    [TRMIG_EVENT_END] = "",
};

/* key, btn, rel, abs, mtt */
static const char *const input_fields[] = {"k", "41", "48", "48", "48848"};
/* number, qcode; then: down */
static const char *const key_fields[] = {"81", "41"};

void trmig_event_scanner_init(trmig_event_scanner *s) {
    memset(s, 0, sizeof(*s));
}

static int fail(trmig_event_scanner *s, const char *why) {
    s->error = why;
    return TRMIG_SCAN_ERROR;
}

static uint8_t field_bytes(char field) {
    switch (field) {
    case '1':
        return 1;
    case '8':
        return 8;
    default:
        return 4;
    }
}

static void count_event(trmig_event_scanner *s) {
    s->events++;
    s->counts[s->kind]++;
    s->bytes += s->partial_bytes;
    switch (s->kind) {
    case TRMIG_EVENT_INSTRUCTION:
        s->instructions += s->value;
        break;
    case TRMIG_EVENT_BLOCK:
        s->block_events++;
        break;
    case TRMIG_EVENT_CLOCK_HOST:
    case TRMIG_EVENT_CLOCK_VIRTUAL_RT:
        s->clock[s->kind - TRMIG_EVENT_CLOCK_HOST] = (int64_t)s->value;
        break;
    default:
        break;
    }
    s->step = NULL;
}

/* Goes to the next field that needs bytes, or completes the event. */
static int next_field(trmig_event_scanner *s) {
    while (s->skip_bytes == 0 && s->operand_bytes == 0) {
        char field = *s->step;
        if (field == '\0') {
            count_event(s);
            return TRMIG_SCAN_EVENT;
        }
        s->step++;
        if (field == 's') {
            if (s->value > TRMIG_EVENT_VARIABLE_BYTES_MAX / 16) {
                return fail(s, "an AUDIO_IN event announces more samples than a segment can hold");
            }
            s->skip_bytes = (uint32_t)s->value * 16;
        } else {
            s->field = field;
            s->operand = 0;
            s->operand_bytes = field_bytes(field);
        }
    }
    return TRMIG_SCAN_PARTIAL;
}

/* An integer is complete: acts on what it means. Returns NULL, or why no QEMU wrote it. */
static const char *take_operand(trmig_event_scanner *s) {
    if (s->operands++ == 0) {
        s->value = s->operand;
    }
    switch (s->field) {
    case 'n':
        if (s->operand == 0 || s->operand > INT32_MAX) {
            return "an INSTRUCTION event counts 0 or more than 2^31 - 1 instructions";
        }
        break;
    case 'a':
        if (s->operand > TRMIG_EVENT_VARIABLE_BYTES_MAX) {
            return "an event's array is longer than a segment can hold";
        }
        s->skip_bytes = (uint32_t)s->operand;
        break;
    case 'i':
        if (s->operand >= sizeof(input_fields) / sizeof(input_fields[0])) {
            return "an INPUT event is of no known kind";
        }
        s->step = input_fields[s->operand];
        break;
    case 'k':
        if (s->operand >= sizeof(key_fields) / sizeof(key_fields[0])) {
            return "an INPUT event's key value is of no known kind";
        }
        s->step = key_fields[s->operand];
        break;
    default:
        break;
    }
    return NULL;
}

int trmig_event_scan_byte(trmig_event_scanner *s, uint8_t byte) {
    if (s->error) {
        return TRMIG_SCAN_ERROR;
    }
    if (!s->step) {
        if (byte >= TRMIG_EVENT_COUNT || !event_fields[byte]) {
            return fail(s, "an event code that QEMU 10.0 does not write");
        }
        s->kind = byte;
        s->value = 0;
        s->operands = 0;
        s->partial_bytes = 1;
        s->step = event_fields[byte];
        return next_field(s);
    }
    s->partial_bytes++;
    if (s->skip_bytes > 0) {
        s->skip_bytes--;
        return s->skip_bytes > 0 ? TRMIG_SCAN_PARTIAL : next_field(s);
    }
    s->operand = s->operand << 8 | byte;
    if (--s->operand_bytes > 0) {
        return TRMIG_SCAN_PARTIAL;
    }
    const char *why = take_operand(s);
    if (why) {
        return fail(s, why);
    }
    return next_field(s);
}
