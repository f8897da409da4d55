/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay-mutex.h"

#include "clock.h"
#include "patch.h"
#include "qemu.h"

enum {
    SPIN_NS = 20 * 1000, /* longer than what its holder still does when it wakes somebody, far shorter than a slice */
    LOOKS_PER_CLOCK = 32,
};

static struct {
    GMutex lock;
    GCond served;
    unsigned next, serving; /* tickets; written with the lock held */
} turns;

static __thread bool holds;

static bool is_my_turn(unsigned ticket) { return __atomic_load_n(&turns.serving, __ATOMIC_ACQUIRE) == ticket; }

/* Any thread. False when SPIN_NS have gone by. */
static bool spin(unsigned ticket)
{
    const uint64_t until = host_ns() + SPIN_NS;
    do {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (is_my_turn(ticket)) {
                return true;
            }
            __builtin_ia32_pause();
        }
    } while (host_ns() < until);
    return false;
}

static void lock_hook(void)
{
    if (replay_mode == REPLAY_MODE_NONE) {
        return;
    }
    g_assert(!holds);
    const unsigned ticket = __atomic_fetch_add(&turns.next, 1, __ATOMIC_ACQ_REL);
    if (!spin(ticket)) {
        g_mutex_lock(&turns.lock);
        while (!is_my_turn(ticket)) {
            g_cond_wait(&turns.served, &turns.lock);
        }
        g_mutex_unlock(&turns.lock);
    }
    holds = true;
}

static void unlock_hook(void)
{
    if (replay_mode == REPLAY_MODE_NONE) {
        return;
    }
    g_assert(holds);
    holds = false;
    g_mutex_lock(&turns.lock);
    __atomic_store_n(&turns.serving, turns.serving + 1, __ATOMIC_RELEASE);
    g_mutex_unlock(&turns.lock);
    g_cond_broadcast(&turns.served); /* after the lock: who wakes must not have to wait for it */
}

static void init_hook(void)
{
    holds = true;
    turns.next++;
}

static bool locked_hook(void) { return holds; }

const char *replay_mutex_install(void)
{
    const Patch patches[] = {
        {(void *)replay_mutex_init, (void *)init_hook},
        {(void *)replay_mutex_lock, (void *)lock_hook},
        {(void *)replay_mutex_unlock, (void *)unlock_hook},
        {(void *)replay_mutex_locked, (void *)locked_hook},
    };
    return patch_functions(patches, G_N_ELEMENTS(patches));
}
