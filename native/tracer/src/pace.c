/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pace.h"

#include "clock.h"
#include "mode.h"
#include "qemu.h"
#include "tap.h"

enum {
    PERIOD_US = 1000, /* it runs for so long at a time: short, so that its sleeps are */
    RAN_US_MAX = 5 * PERIOD_US,
};

static struct {
    GMutex lock;
    GCond changed;
    double fraction;
    bool queued, interrupt;
    uint64_t slept_ns;
} pace;

/* What was executed is on its way, and replayed, while the vCPU sleeps. vCPU thread, BQL held, between two slices. */
static void log_up_to_here(void)
{
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
    if (mode_get() == MODE_ARMED && tap_hurry()) {
        icount_account_warp_timer(); /* what the vCPU's loop logs at each round's beginning: there a segment can be cut */
    }
    replay_mutex_unlock();
}

/* vCPU thread, BQL held, between two slices. */
static void sleep_once(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    const uint64_t begun = host_ns();
    const gint64 until = g_get_monotonic_time() + data.host_int;
    log_up_to_here();
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
        const double ran_us = (double)(now_ns - busy_ns) / 1000; /* on a busy host longer than it should have */
        const bool busy = ran_us > PERIOD_US / 4;
        busy_ns = now_ns;
        g_mutex_lock(&pace.lock);
        if (busy && !pace.queued && pace.fraction > 0) {
            pace.queued = true;
            pace.interrupt = false;
            const int sleep_us = (int)(MIN(ran_us, RAN_US_MAX) * fraction / (1 - fraction));
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
