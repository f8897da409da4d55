/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "state.h"

#include "qemu.h"
#include "ram.h"
#include "scratch.h"
#include "state-header.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { REGISTERS_MAX = 512 };

uint64_t state_registers64(void)
{
    /* One buffer a thread, kept: this runs between two slices of the vCPU, where nothing should be allocated. */
    static __thread GByteArray *buffer;
    CPUState *cpu = qemu_get_cpu(0);
    if (!buffer) {
        buffer = g_byte_array_sized_new(4096);
    }
    g_byte_array_set_size(buffer, 0);
    for (int reg = 0; reg < REGISTERS_MAX; reg++) {
        if (gdb_read_register(cpu, buffer, reg) <= 0) {
            break;
        }
    }
    return XXH3_64bits(buffer->data, buffer->len);
}

GByteArray *state_save(const char **why)
{
    const int fd = memfd_create("trmig-state", MFD_CLOEXEC);
    if (fd < 0) {
        *why = "no memory file for the device state";
        return NULL;
    }
    /* The channel owns the descriptor it is given; ours stays for reading back. */
    QIOChannelFile *channel = qio_channel_file_new_fd(dup(fd));
    QEMUFile *file = qemu_file_new_output((QIOChannel *)channel);
    object_unref(channel);
    const int failed = qemu_save_device_state(file);
    const int unflushed = qemu_fflush(file);
    const int unclosed = qemu_fclose(file);

    GByteArray *bytes = NULL;
    struct stat info;
    if (!failed && !unflushed && !unclosed && fstat(fd, &info) == 0) {
        bytes = g_byte_array_sized_new((guint)info.st_size);
        g_byte_array_set_size(bytes, (guint)info.st_size);
        if (pread(fd, bytes->data, bytes->len, 0) != (ssize_t)bytes->len) {
            g_byte_array_unref(bytes);
            bytes = NULL;
        }
    }
    close(fd);
    if (!bytes) {
        *why = "QEMU could not save its device state (its log says which device)";
    }
    return bytes;
}

const char *state_load(const uint8_t *bytes, size_t size)
{
    if (!state_begins(bytes, size)) {
        return "these bytes are not a device state";
    }
    const int fd = memfd_create("trmig-state", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || lseek(fd, STATE_HEADER_BYTES, SEEK_SET) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return "no memory file for the device state";
    }
    const YankInstance migration = {.type = YANK_INSTANCE_TYPE_MIGRATION};
    QIOChannelFile *channel = qio_channel_file_new_fd(fd);
    QEMUFile *file = qemu_file_new_input((QIOChannel *)channel);
    object_unref(channel);
    const char *why = NULL;
    /* 10.0.2's loader asserts that an incoming migration is registered for yanking. */
    yank_register_instance(&migration, NULL);
    if (qemu_load_device_state(file) < 0) {
        why = "QEMU could not load the device state (its log says which device)";
    }
    yank_unregister_instance(&migration);
    qemu_fclose(file);
    return why;
}

bool state_devices128(Digest128 *digest, const char **why)
{
    const int64_t ticks = *timers_i64(TIMERS_CPU_TICKS_OFFSET);
    const int64_t clock = *timers_i64(TIMERS_CPU_CLOCK_OFFSET);
    *timers_i64(TIMERS_CPU_TICKS_OFFSET) = 0;
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = 0;
    const Scratch scratch = scratch_hide();
    GByteArray *bytes = state_save(why);
    scratch_restore(&scratch);
    *timers_i64(TIMERS_CPU_TICKS_OFFSET) = ticks;
    *timers_i64(TIMERS_CPU_CLOCK_OFFSET) = clock;
    if (!bytes) {
        return false;
    }
    const char *dump = getenv("TRMIG_TRACER_DUMP_STATE");
    if (dump) {
        g_file_set_contents(dump, (const char *)bytes->data, bytes->len, NULL);
    }
    const XXH128_hash_t hash = XXH3_128bits(bytes->data, bytes->len);
    g_byte_array_unref(bytes);
    *digest = (Digest128){hash.low64, hash.high64};
    return true;
}

static int add_block(RAMBlock *block, void *opaque)
{
    XXH3_128bits_update(opaque, qemu_ram_get_host_addr(block), qemu_ram_get_used_length(block));
    return 0;
}

Digest128 state_ram128(void)
{
    XXH3_state_t *hash = XXH3_createState();
    XXH3_128bits_reset(hash);
    qemu_ram_foreach_block(add_block, hash);
    const XXH128_hash_t digest = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    return (Digest128){digest.low64, digest.high64};
}
