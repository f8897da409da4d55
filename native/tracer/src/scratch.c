/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scratch.h"

#include "qemu.h"

#include <string.h>

/* include/migration/vmstate.h of 10.0, as far as it is read here. */
typedef struct {
    const char *name;
    const char *err_hint;
    size_t offset, size, start;
    int num;
    size_t num_offset, size_offset;
    const void *info;
    int flags;
    const void *vmsd;
    int version_id, struct_version_id;
    void *field_exists;
} VMStateField;
typedef struct {
    const char *name;
    bool unmigratable, early_setup;
    int version_id, minimum_version_id, priority;
    void *callbacks[6];
    const VMStateField *fields;
} VMStateDescription;

extern QEMU_WEAK const VMStateDescription vmstate_cpu_common;
/* In qemu-system-aarch64 alone. */
extern QEMU_WEAK const VMStateDescription vmstate_arm_cpu;

enum { FIELDS_MAX = 64, CPU_BYTES_MAX = 1024 * 1024 };

/* Where a description says that a 32-bit field of the CPU lies; NULL when it does not. */
static uint32_t *field_of(const VMStateDescription *description, const char *name)
{
    const VMStateField *field = description ? description->fields : NULL;
    for (int i = 0; field && i < FIELDS_MAX && field->name; i++, field++) {
        if (strcmp(field->name, name) == 0 && field->size == sizeof(uint32_t) && field->offset < CPU_BYTES_MAX) {
            return (uint32_t *)((uint8_t *)qemu_get_cpu(0) + field->offset);
        }
    }
    return NULL;
}

static uint32_t *syndrome_field(void) { return field_of(&vmstate_arm_cpu, "env.exception.syndrome"); }
static uint32_t *halted_field(void) { return field_of(&vmstate_cpu_common, "halted"); }

Scratch scratch_hide(void)
{
    uint32_t *syndrome = syndrome_field(), *halted = halted_field();
    const uint32_t *pending = field_of(&vmstate_cpu_common, "interrupt_request");
    const Scratch scratch = {syndrome ? *syndrome : 0, halted ? *halted : 0};
    if (syndrome) {
        *syndrome = 0;
    }
    if (halted && pending && *pending) {
        *halted = 0;
    }
    return scratch;
}

void scratch_restore(const Scratch *scratch)
{
    uint32_t *syndrome = syndrome_field(), *halted = halted_field();
    if (syndrome) {
        *syndrome = scratch->syndrome;
    }
    if (halted) {
        *halted = scratch->halted;
    }
}
