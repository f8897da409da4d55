/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "patch.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* movabs $replacement, %rax; jmp *%rax: clobbers nothing that carries an argument. */
enum { JUMP_BYTES = 12, TARGET_AT = 2 };

static const char *patch_function(void *function, void *replacement)
{
#ifdef __x86_64__
    uint8_t jump[JUMP_BYTES] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};
    const uint64_t target = (uint64_t)(uintptr_t)replacement;
    memcpy(jump + TARGET_AT, &target, sizeof(target));
    /* Not mprotect: text that is writable and executable, if only for a moment, is refused on hardened hosts. */
    const int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (memory < 0) {
        return "this process may not change its own code (/proc/self/mem)";
    }
    const ssize_t written = pwrite(memory, jump, sizeof(jump), (off_t)(uintptr_t)function);
    (void)!close(memory);
    return written == (ssize_t)sizeof(jump) ? NULL : "this process may not change its own code (/proc/self/mem)";
#else
    (void)function;
    (void)replacement;
    return "the tracer knows x86-64 hosts only";
#endif
}

const char *patch_functions(const Patch *patches, size_t count)
{
    const char *why = NULL;
    for (size_t i = 0; i < count && !why; i++) {
        why = patch_function(patches[i].function, patches[i].replacement);
    }
    return why;
}
