/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TRMIG_CLOCK_H
#define TRMIG_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The host's CLOCK_MONOTONIC in ns. */
static inline uint64_t host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
