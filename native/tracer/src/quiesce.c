/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quiesce.h"

#include "clock.h"
#include "qemu.h"
#include "tap.h"

enum {
    QUIESCE_MS_MAX = 5000, /* a disk's flush may take that long; one that never ends must not hold the guest */
    QUIESCE_WAIT_US = 50,
    NET_CLIENTS_MAX = 32, /* a spec has up to 8 nics, each with its other end */
};

static void run_events_on_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    (void)cpu;
    (void)data;
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
    replay_save_instructions(); /* they come before what happens now */
    replay_save_events();
    replay_mutex_unlock();
}

bool quiesce_queue(void)
{
    if (!replay_has_events()) {
        return false;
    }
    replay_mutex_unlock(); /* before run_on_cpu: the vCPU's loop may be waiting for it */
    run_on_cpu(qemu_get_cpu(0), run_events_on_vcpu, (run_on_cpu_data){.host_ptr = NULL});
    bql_unlock();
    replay_mutex_lock();
    bql_lock();
    return true;
}

bool quiesce(bool armed)
{
    const uint64_t until_ns = host_ns() + QUIESCE_MS_MAX * 1000000ull;
    while (host_ns() < until_ns) {
        bool busy = aio_poll(qemu_get_aio_context(), false);
        if (armed) {
            busy = quiesce_queue() || busy;
        }
        const bool in_flight = armed && replay_state.block_request_id != tap_block_events();
        if (!busy && !in_flight) {
            return true;
        }
        if (!busy) {
            g_usleep(QUIESCE_WAIT_US);
        }
    }
    return false;
}

void quiesce_nics(void)
{
    NetClientState *clients[NET_CLIENTS_MAX];
    const int count = qemu_find_net_clients_except(NULL, clients, -1, NET_CLIENTS_MAX);
    for (int i = 0; i < MIN(count, NET_CLIENTS_MAX); i++) {
        qemu_purge_queued_packets(clients[i]);
    }
}
