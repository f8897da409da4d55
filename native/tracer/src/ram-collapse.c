/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ram.h"

#include "clock.h"
#include "qemu.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 6.7's <linux/fs.h> and 6.1's <linux/mman.h>: older headers do not say them. */
typedef struct {
    uint64_t start, end, categories;
} PageRegion;
typedef struct {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} PagemapScan;
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, PagemapScan)
enum { PAGE_IS_PRESENT_BIT = 1 << 3, PAGE_IS_HUGE_BIT = 1 << 6 };
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
    HUGE_BYTES = 2 * 1024 * 1024,
    PAGE_BYTES = 4096,
    /* Below an eighth the page is left in pieces: putting it together would take memory that the guest never touched. */
    SMALL_PAGES_MIN = HUGE_BYTES / PAGE_BYTES / 8,
    SCAN_BYTES = 64 * 1024 * 1024,
    REGIONS_MAX = 1024,
};

typedef struct {
    RamPosition *at;
    uint64_t until_ns, collapsed;
    unsigned index;
    int pagemap;
} Walk;

/* 4 KiB pages mapped in each huge page's range of [start, start + SCAN_BYTES). False where the kernel cannot tell. */
static bool count_small(int pagemap, uintptr_t start, uintptr_t end, uint16_t *small)
{
    PageRegion regions[REGIONS_MAX];
    PagemapScan scan = {
        .size = sizeof(scan),
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = REGIONS_MAX,
        .category_inverted = PAGE_IS_HUGE_BIT,
        .category_mask = PAGE_IS_PRESENT_BIT | PAGE_IS_HUGE_BIT,
        .return_mask = PAGE_IS_PRESENT_BIT,
    };
    do {
        const int found = ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &scan);
        if (found < 0) {
            return false;
        }
        for (int i = 0; i < found; i++) {
            for (uint64_t page = regions[i].start; page < regions[i].end; page += PAGE_BYTES) {
                small[(page - start) / HUGE_BYTES]++;
            }
        }
        scan.start = scan.walk_end;
    } while (scan.start < end);
    return true;
}

static int collapse_block(RAMBlock *block, void *opaque)
{
    Walk *walk = opaque;
    if (walk->index++ != walk->at->block) {
        return 0;
    }
    const uintptr_t base = (uintptr_t)qemu_ram_get_host_addr(block);
    const uint64_t bytes = qemu_ram_get_used_length(block);
    /* The first huge page's range that lies within the block. */
    uint64_t offset = MAX(walk->at->offset, (HUGE_BYTES - base % HUGE_BYTES) % HUGE_BYTES);
    while (offset + HUGE_BYTES <= bytes && host_ns() < walk->until_ns) {
        const uint64_t part = MIN(SCAN_BYTES, (bytes - offset) / HUGE_BYTES * HUGE_BYTES);
        uint16_t small[SCAN_BYTES / HUGE_BYTES] = {0};
        if (!count_small(walk->pagemap, base + offset, base + offset + part, small)) {
            offset = bytes;
            break;
        }
        const uint64_t end = offset + part;
        for (size_t i = 0; offset < end && host_ns() < walk->until_ns; i++, offset += HUGE_BYTES) {
            if (small[i] >= SMALL_PAGES_MIN && madvise((void *)(base + offset), HUGE_BYTES, MADV_COLLAPSE) == 0) {
                walk->collapsed += HUGE_BYTES;
            }
        }
    }
    walk->at->offset = offset;
    if (offset + HUGE_BYTES <= bytes) {
        return 1; /* the time is over */
    }
    walk->at->block++;
    walk->at->offset = 0;
    return 0;
}

uint64_t ram_collapse(RamPosition *at, uint64_t budget_ns)
{
    Walk walk = {
        .at = at, .until_ns = host_ns() + budget_ns, .pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
    if (walk.pagemap < 0 || qemu_ram_foreach_block(collapse_block, &walk) == 0) {
        at->block = UINT32_MAX;
    }
    if (walk.pagemap >= 0) {
        (void)!close(walk.pagemap);
    }
    return walk.collapsed;
}
