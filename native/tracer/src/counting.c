/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "counting.h"

#include "clock.h"
#include "flip.h"
#include "mode.h"
#include "qemu.h"

static uint64_t since_ns; /* 0: not just gone live */

/* For a flip that nothing but the vCPU must know of: a stopped machine's disks would be flushed, which can take long. */
static void hold_still(void)
{
    pause_all_vcpus();
    cpu_disable_ticks();
}

static void go_on(void)
{
    cpu_enable_ticks();
    resume_all_vcpus();
}

const char *counting_probe(void)
{
    if (mode_get() != MODE_DORMANT || !runstate_is_running()) {
        return "probing needs a dormant guest that runs";
    }
    hold_still();
    flip_icount_on(1);
    go_on();
    return NULL;
}

uint64_t counting_probed(void) { return (uint64_t)icount_get_raw(); }

uint64_t counting_probe_end(void)
{
    hold_still();
    const uint64_t instructions = counting_probed();
    flip_icount_off();
    go_on();
    return instructions;
}

void counting_begin(uint64_t now_ns) { __atomic_store_n(&since_ns, now_ns, __ATOMIC_RELEASE); }

uint64_t counting_since_ns(void) { return __atomic_load_n(&since_ns, __ATOMIC_ACQUIRE); }

void counting_end(void)
{
    if (counting_since_ns() == 0) {
        return;
    }
    const bool was_running = runstate_is_running();
    if (was_running) {
        hold_still();
    }
    flip_icount_off();
    if (was_running) {
        go_on();
    }
    __atomic_store_n(&since_ns, 0, __ATOMIC_RELEASE);
}
