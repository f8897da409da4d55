/*
 * The lines in a client's bytes. The bytes are foreign: they may hold no newline, or nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_LINES_H
#define TRMIG_LINES_H

#include <glib.h>

/* The next whole line from `*at` on, without its newline, zero-terminated, the caller's to free; `*at` is then behind it.
 * NULL when there is none. Empty lines are passed over. */
char *line_next(const GByteArray *bytes, guint *at);

#endif
