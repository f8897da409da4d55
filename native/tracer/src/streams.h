/*
 * Connections that clients have turned into streams, by name, until a command takes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_STREAMS_H
#define TRMIG_STREAMS_H

#include <stdbool.h>

/* Keeps `fd` (ours from now on) under `name`; one that was there is closed. False when there are too many. Any thread. */
bool stream_put(const char *name, int fd);

/* The stream kept under `name`, the caller's from now on; -1 when there is none. Any thread. */
int stream_take(const char *name);

#endif
