/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client of the control socket says, up to QEMU's own JSON parser, and what a request's arguments may then be: lines,
 * cut anywhere; arguments of any kind and value, which QEMU's dictionaries (stood in for below) hand over; the reply. */
#include "../tracer/src/control.h"

#include "../tracer/src/lines.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- QEMU's dictionaries, holding one value under whatever name is asked for --- */

enum { KIND_NUMBER = 2, KIND_STRING = 3, KIND_DICT = 4, KIND_BOOL = 6 };
static int kind;
static uint64_t bits;
static const char *text;

int qdict_haskey(const QDict *dict, const char *key) {
    (void)dict;
    (void)key;
    return kind != 0;
}
int64_t qdict_get_try_int(const QDict *dict, const char *key, int64_t fallback) {
    (void)dict;
    (void)key;
    return kind == KIND_NUMBER ? (int64_t)bits : fallback;
}
double qdict_get_double(const QDict *dict, const char *key) {
    double value;
    (void)dict;
    (void)key;
    memcpy(&value, &bits, sizeof(value));
    return value;
}
bool qdict_get_try_bool(const QDict *dict, const char *key, bool fallback) {
    (void)dict;
    (void)key;
    return kind == KIND_BOOL ? (bits & 1) != 0 : fallback;
}
const char *qdict_get_try_str(const QDict *dict, const char *key) {
    (void)dict;
    (void)key;
    return kind == KIND_STRING ? text : NULL;
}
QObject *qdict_get(const QDict *dict, const char *key) {
    (void)dict;
    (void)key;
    return kind ? (QObject *)(void *)&kind : NULL;
}

/* --- the target --- */

/* A line of JSON that holds whatever the request put into it. */
static void check_line(const Request *request) {
    char *line = request_line(request);
    const size_t length = strlen(line);
    if (length < 2 || line[0] != '{' || line[length - 1] != '\n' || line[length - 2] != '}') {
        abort();
    }
    for (size_t i = 0; i + 1 < length; i++) {
        if ((unsigned char)line[i] < 0x20) {
            abort();
        }
    }
    g_free(line);
}

static void check_arguments(void) {
    Request request = {.reply = g_string_new(NULL), .id = (int64_t)bits};
    request.root = (QObject *)(void *)&kind;
    request.arguments = request_root(&request);
    if ((request.arguments != NULL) != (kind == KIND_DICT)) {
        abort();
    }
    request.arguments = (const QDict *)(const void *)&kind;
    int64_t whole;
    double number;
    if (request_int(&request, "n", -5, 1000, 7, &whole) && (whole < -5 || whole > 1000)) {
        abort();
    }
    if (request_int(&request, "n", 0, 10, -1, &whole) && kind == 0) {
        abort();
    }
    if (request_number(&request, "x", 0, 0.95, &number) && !(number >= 0 && number <= 0.95)) {
        abort();
    }
    const char *string = request_str(&request, "s");
    if (string) {
        request_fail(&request, "Failed", "%s", string);
    }
    request_reply(&request, "b", "%s", request_bool(&request, "b") ? "true" : "false");
    check_line(&request);
    g_string_free(request.reply, TRUE);
    g_free(request.error);
}

static void check_lines(const uint8_t *data, size_t size, size_t cut) {
    GByteArray *bytes = g_byte_array_new();
    size_t taken = 0, newlines = 0;
    for (size_t at = 0; at < size; at += cut) {
        g_byte_array_append(bytes, data + at, (guint)MIN(cut, size - at));
        guint done = 0;
        char *line;
        while ((line = line_next(bytes, &done))) {
            if (line[0] == '\n' || strchr(line, '\n')) {
                abort();
            }
            g_free(line);
        }
        taken += done;
        g_byte_array_remove_range(bytes, 0, done);
    }
    for (size_t i = 0; i < taken; i++) newlines += data[i] == '\n';
    if (taken + bytes->len != size || memchr(bytes->data ? (void *)bytes->data : "", '\n', bytes->len) ||
        (taken > 0 && newlines == 0)) {
        abort();
    }
    g_byte_array_unref(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 10) {
        return 0;
    }
    kind = data[0] % 8;
    memcpy(&bits, data + 1, sizeof(bits));
    char *copy = g_strndup((const char *)data + 10, size - 10);
    text = copy;
    check_arguments();
    check_lines(data + 10, size - 10, data[9] + 1u);
    g_free(copy);
    return 0;
}
