/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "streams.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

static GMutex lock;
static struct {
    char *name; /* owned; NULL where nothing is kept */
    int fd;
} streams[8];

/* Lock held. */
static int take(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
        if (streams[i].name && strcmp(streams[i].name, name) == 0) {
            g_free(streams[i].name);
            streams[i].name = NULL;
            return streams[i].fd;
        }
    }
    return -1;
}

bool stream_put(const char *name, int fd)
{
    bool kept = false;
    g_mutex_lock(&lock);
    const int stale = take(name);
    for (size_t i = 0; i < G_N_ELEMENTS(streams) && !kept; i++) {
        if (!streams[i].name) {
            streams[i].name = g_strdup(name);
            streams[i].fd = fd;
            kept = true;
        }
    }
    g_mutex_unlock(&lock);
    if (stale >= 0) {
        close(stale);
    }
    return kept;
}

int stream_take(const char *name)
{
    g_mutex_lock(&lock);
    const int fd = take(name);
    g_mutex_unlock(&lock);
    return fd;
}
