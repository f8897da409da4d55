/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lines.h"

#include <string.h>

char *line_next(const GByteArray *bytes, guint *at)
{
    while (*at < bytes->len) {
        const guint8 *begin = bytes->data + *at;
        const guint8 *end = memchr(begin, '\n', bytes->len - *at);
        if (!end) {
            return NULL;
        }
        *at += (guint)(end - begin) + 1;
        if (end > begin) {
            return g_strndup((const char *)begin, (gsize)(end - begin));
        }
    }
    return NULL;
}
