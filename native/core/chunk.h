// SPDX-License-Identifier: GPL-2.0-or-later
// A chunk: up to 1 MiB of one RAM block with its zero pages left out, compressed. Reading, packing and compressing are
// one hop off the main thread, as are their undoing, so that raw pages never enter the JavaScript heap.
// Invariant: the checksum is verified before anything is decompressed, and everything is decompressed before the first
// byte is written to the other process.
// Any thread; each thread keeps its own buffers (about 3 MiB) and zstd contexts for its lifetime. Never the main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <vector>

#include "failure.h"

namespace trmig {

// The page of an image, whatever the host's or the guest's page is.
constexpr size_t image_page_bytes = 4096;
constexpr size_t chunk_pages_max = 256;

// What a chunk covers. The layout in memory is the layout on disk; see src/checkpoint/chunk.ts for the picture.
struct ChunkHead {
    uint32_t block;
    uint32_t page_count;
    uint64_t first_page;
    uint32_t nonzero_pages;
    uint32_t compressed_bytes;
};
static_assert(sizeof(ChunkHead) == 24);

struct Chunk {
    ChunkHead head{};
    std::vector<uint32_t> pages; // ascending, counted from first_page
    std::vector<uint8_t> compressed;
    uint64_t checksum = 0;
};

// Reads head.page_count pages at `address`, fills everything else. A chunk of zeros has no pages and no bytes.
Failure capture_chunk(pid_t pid, uint64_t address, int level, Chunk &chunk);

// Writes a chunk's pages; `address` is where its first page lies in the other process. The caller has checked the
// indices. EBADMSG: the checksum does not match; EILSEQ: the bytes do not decompress to the pages announced.
Failure restore_chunk(pid_t pid, uint64_t address, const ChunkHead &head, const uint32_t *pages,
                      const uint8_t *compressed, uint64_t checksum);

// Packs and compresses head.page_count pages at `raw`, which it leaves in pieces, and fills the rest of the chunk.
Failure pack_chunk(uint8_t *raw, int level, Chunk &chunk);

// Verifies and decompresses; `packed` is where the chunk's pages then lie, one after the other, until this thread's next
// chunk. Errors as restore_chunk's.
Failure unpack_chunk(const ChunkHead &head, const uint32_t *pages, const uint8_t *compressed, uint64_t checksum,
                     const uint8_t *&packed);

// Makes `page_count` pages zero, writing only those that are not; `written` counts these.
Failure clear_pages(pid_t pid, uint64_t address, size_t page_count, uint64_t &written);

} // namespace trmig
