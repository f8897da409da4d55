/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pace.h"

#include "clock.h"
#include "mode.h"
#include "qemu.h"

enum { PERIOD_US = 5000 };

static struct {
    GMutex lock;
    GCond changed;
    double fraction;
    bool queued, interrupt;
    uint64_t slept_ns;
} pace;

/* vCPU thread, BQL held, between two slices. */
static void sleep_once(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    const uint64_t begun = host_ns();
    const gint64 until = g_get_monotonic_time() + data.host_int;
    bql_unlock();
    g_mutex_lock(&pace.lock);
    while (!pace.interrupt && g_cond_wait_until(&pace.changed, &pace.lock, until)) {
    }
    pace.interrupt = false;
    pace.queued = false;
    pace.slept_ns += host_ns() - begun;
    g_cond_broadcast(&pace.changed);
    g_mutex_unlock(&pace.lock);
    bql_lock();
}

/* The pacer's own thread. A guest that sleeps is not slowed: it would only be woken. */
static gpointer pacer_thread(gpointer unused)
{
    (void)unused;
    uint64_t busy_ns = 0;
    g_mutex_lock(&pace.lock);
    for (;;) {
        while (pace.fraction <= 0) {
            g_cond_wait(&pace.changed, &pace.lock);
        }
        const double fraction = pace.fraction;
        g_mutex_unlock(&pace.lock);
        g_usleep(PERIOD_US);
        const uint64_t now_ns = mode_get() == MODE_ARMED ? mode_vcpu_busy_ns() : busy_ns;
        const bool busy = now_ns - busy_ns > PERIOD_US * 1000u / 4;
        busy_ns = now_ns;
        g_mutex_lock(&pace.lock);
        if (busy && !pace.queued && pace.fraction > 0) {
            pace.queued = true;
            pace.interrupt = false;
            const int sleep_us = (int)(PERIOD_US * fraction / (1 - fraction));
            async_run_on_cpu(qemu_get_cpu(0), sleep_once, (run_on_cpu_data){.host_int = sleep_us});
        }
        while (pace.queued && pace.fraction > 0) {
            g_cond_wait_until(&pace.changed, &pace.lock, g_get_monotonic_time() + PERIOD_US);
        }
    }
    return NULL;
}

void pace_init(void) { g_thread_new("trmig-pace", pacer_thread, NULL); }

void pace_set(double fraction)
{
    g_mutex_lock(&pace.lock);
    pace.fraction = fraction;
    pace.interrupt = fraction <= 0;
    g_cond_broadcast(&pace.changed);
    g_mutex_unlock(&pace.lock);
}

double pace_get(void)
{
    g_mutex_lock(&pace.lock);
    const double fraction = pace.fraction;
    g_mutex_unlock(&pace.lock);
    return fraction;
}

void pace_interrupt(void)
{
    g_mutex_lock(&pace.lock);
    pace.interrupt = true;
    g_cond_broadcast(&pace.changed);
    g_mutex_unlock(&pace.lock);
}

uint64_t pace_slept_ns(void)
{
    g_mutex_lock(&pace.lock);
    const uint64_t slept = pace.slept_ns;
    g_mutex_unlock(&pace.lock);
    return slept;
}
