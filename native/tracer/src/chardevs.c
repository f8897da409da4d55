/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chardevs.h"

#include "qemu.h"

enum { CHARDEVS_MAX = 8 };

static struct {
    const char *name;
    Chardev *chr;
    int logfd; /* saved while muted */
} chardevs[CHARDEVS_MAX];
static int chardev_count;
static bool registered;

bool chardevs_add(const char *name)
{
    if (chardev_count == CHARDEVS_MAX) {
        return false;
    }
    chardevs[chardev_count++].name = g_strdup(name);
    return true;
}

void chardevs_register(void)
{
    for (int i = 0; i < chardev_count && !registered; i++) {
        replay_register_char_driver(chardevs[i].chr);
    }
    registered = true;
}

const char *chardevs_find(void)
{
    for (int i = 0; i < chardev_count; i++) {
        if (chardevs[i].chr) {
            continue;
        }
        Chardev *chr = qemu_chr_find(chardevs[i].name);
        if (!chr) {
            return g_strdup_printf("there is no chardev %s", chardevs[i].name);
        }
        if (!abi_check_chardev(chr, chardevs[i].name)) {
            return "this QEMU's Chardev is laid out differently than 10.0's";
        }
        qemu_chr_set_feature(chr, QEMU_CHAR_FEATURE_REPLAY);
        chardevs[i].chr = chr;
    }
    return NULL;
}

static int *chardev_logfd(Chardev *chr) { return (int *)((uint8_t *)chr + CHARDEV_LOGFD); }

void chardevs_mute(void)
{
    for (int i = 0; i < chardev_count; i++) {
        chardevs[i].logfd = *chardev_logfd(chardevs[i].chr);
        *chardev_logfd(chardevs[i].chr) = -1;
    }
}

void chardevs_unmute(void)
{
    for (int i = 0; i < chardev_count; i++) {
        *chardev_logfd(chardevs[i].chr) = chardevs[i].logfd;
    }
}
