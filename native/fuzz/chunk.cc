// SPDX-License-Identifier: GPL-2.0-or-later
// Any chunk at all, within what JavaScript has checked (src/checkpoint/chunk.ts): it is refused or restored, and only its
// pages are written. The input: pages covered, pages stored, whether the checksum is made right; the bitmap; zstd's bytes.
#include "foreign_chunk.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace trmig;
    ForeignChunk chunk;
    if (!chunk.read(data, size)) return 0;
    static uint8_t *arena = static_cast<uint8_t *>(std::aligned_alloc(image_page_bytes, chunk_bytes_max));
    static uint8_t untouched[image_page_bytes];
    std::memset(untouched, 0x5a, image_page_bytes);
    std::memset(arena, 0x5a, chunk_bytes_max);
    Failure failure = restore_chunk(getpid(), reinterpret_cast<uint64_t>(arena), chunk.head, chunk.pages.data(),
                                    chunk.compressed, chunk.checksum);
    size_t next = 0;
    for (uint32_t page = 0; page < chunk_pages_max; page++) {
        const bool stored = next < chunk.pages.size() && chunk.pages[next] == page;
        if (stored) next++;
        if (stored && !failure) continue;
        if (std::memcmp(arena + page * image_page_bytes, untouched, image_page_bytes) != 0) std::abort();
    }
    return 0;
}
