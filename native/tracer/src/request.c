/*
 * A request's arguments, checked, and its reply, written. Any thread, one at a time for one request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "control.h"

#include <stdarg.h>

/* qapi/common.json: QType */
enum { QTYPE_QNUM = 2, QTYPE_QDICT = 4 };

void request_fail(Request *request, const char *error_class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    request->error_class = error_class;
    g_free(request->error);
    request->error = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

/* struct QObjectBase_ (include/qobject/qobject.h): the type comes first. */
static int qobject_kind(const QObject *object) { return object ? *(const int *)(const void *)object : 0; }

const QDict *request_root(const Request *request)
{
    return qobject_kind(request->root) == QTYPE_QDICT ? (const QDict *)request->root : NULL;
}

bool request_int(Request *request, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value)
{
    const bool there = request->arguments && qdict_haskey(request->arguments, name);
    *value = there ? qdict_get_try_int(request->arguments, name, INT64_MIN) : fallback;
    if (*value < min || *value > max) {
        request_fail(request, "BadRequest", "%s must be an integer from %" PRId64 " to %" PRId64, name, min, max);
        return false;
    }
    return true;
}

bool request_number(Request *request, const char *name, double min, double max, double *value)
{
    const QObject *object = request->arguments ? qdict_get(request->arguments, name) : NULL;
    *value = qobject_kind(object) == QTYPE_QNUM ? qdict_get_double(request->arguments, name) : min - 1;
    if (!(*value >= min && *value <= max)) {
        request_fail(request, "BadRequest", "%s must be a number from %g to %g", name, min, max);
        return false;
    }
    return true;
}

const char *request_str(Request *request, const char *name)
{
    const char *value = request->arguments ? qdict_get_try_str(request->arguments, name) : NULL;
    if (!value) {
        request_fail(request, "BadRequest", "%s must be a string", name);
    }
    return value;
}

bool request_bool(const Request *request, const char *name)
{
    return request->arguments && qdict_get_try_bool(request->arguments, name, false);
}

void request_reply(Request *request, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_string_append_printf(request->reply, "%s\"%s\":", request->reply->len ? "," : "", name);
    g_string_append_vprintf(request->reply, format, arguments);
    va_end(arguments);
}

static void append_escaped(GString *json, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\') {
            g_string_append_c(json, '\\');
        }
        if (*at < 0x20) {
            g_string_append_printf(json, "\\u%04x", *at);
        } else {
            g_string_append_c(json, (char)*at);
        }
    }
}

char *request_line(const Request *request)
{
    GString *line = g_string_new("{");
    if (request->error_class) {
        g_string_append_printf(line, "\"error\":{\"class\":\"%s\",\"desc\":\"", request->error_class);
        append_escaped(line, request->error);
        g_string_append(line, "\"}");
    } else {
        g_string_append_printf(line, "\"return\":{%s}", request->reply->str);
    }
    g_string_append_printf(line, ",\"id\":%" PRId64 "}\n", request->id);
    return g_string_free(line, FALSE);
}
