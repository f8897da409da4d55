// SPDX-License-Identifier: GPL-2.0-or-later
#include "chunk.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "page_buffer.h"
#include "pages.h"
#include "remote.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the image format is little-endian");

namespace trmig {

namespace {

constexpr size_t chunk_bytes_max = chunk_pages_max * image_page_bytes;

// What one thread needs again and again.
struct Workbench {
    PageBuffer raw = make_page_buffer(chunk_bytes_max);
    PageBuffer packed = make_page_buffer(ZSTD_COMPRESSBOUND(chunk_bytes_max));
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx *)> compressor{ZSTD_createCCtx(), ZSTD_freeCCtx};
    std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx *)> decompressor{ZSTD_createDCtx(), ZSTD_freeDCtx};
};

Workbench &workbench() {
    thread_local Workbench bench;
    return bench;
}

uint64_t checksum_of(const ChunkHead &head, const uint32_t *pages, const uint8_t *compressed) {
    uint8_t bitmap[(chunk_pages_max + 7) / 8] = {};
    for (size_t i = 0; i < head.nonzero_pages; i++) bitmap[pages[i] / 8] |= static_cast<uint8_t>(1u << pages[i] % 8);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &head, sizeof(head));
    XXH3_64bits_update(&state, bitmap, (head.page_count + 7) / 8);
    XXH3_64bits_update(&state, compressed, head.compressed_bytes);
    return XXH3_64bits_digest(&state);
}

} // namespace

Failure capture_chunk(pid_t pid, uint64_t address, int level, Chunk &chunk) {
    uint8_t *raw = workbench().raw.get();
    if (Failure failure = read_remote(pid, address, raw, chunk.head.page_count * image_page_bytes)) return failure;
    return pack_chunk(raw, level, chunk);
}

Failure pack_chunk(uint8_t *raw, int level, Chunk &chunk) {
    Workbench &bench = workbench();
    chunk.pages = pack_nonzero_pages(raw, image_page_bytes, chunk.head.page_count);
    chunk.head.nonzero_pages = static_cast<uint32_t>(chunk.pages.size());
    if (chunk.pages.empty()) return {};
    size_t bytes = ZSTD_compressCCtx(bench.compressor.get(), bench.packed.get(), ZSTD_COMPRESSBOUND(chunk_bytes_max),
                                     raw, chunk.pages.size() * image_page_bytes, level);
    if (ZSTD_isError(bytes)) return {ENOMEM, "zstd", 0};
    chunk.compressed.assign(bench.packed.get(), bench.packed.get() + bytes);
    chunk.head.compressed_bytes = static_cast<uint32_t>(bytes);
    chunk.checksum = checksum_of(chunk.head, chunk.pages.data(), chunk.compressed.data());
    return {};
}

Failure unpack_chunk(const ChunkHead &head, const uint32_t *pages, const uint8_t *compressed, uint64_t checksum,
                     const uint8_t *&packed) {
    if (checksum_of(head, pages, compressed) != checksum) return {EBADMSG, "chunk", 0};
    Workbench &bench = workbench();
    size_t expected = head.nonzero_pages * image_page_bytes;
    size_t bytes = ZSTD_decompressDCtx(bench.decompressor.get(), bench.raw.get(), chunk_bytes_max, compressed,
                                       head.compressed_bytes);
    if (ZSTD_isError(bytes) || bytes != expected) return {EILSEQ, "zstd", 0};
    packed = bench.raw.get();
    return {};
}

Failure restore_chunk(pid_t pid, uint64_t address, const ChunkHead &head, const uint32_t *pages,
                      const uint8_t *compressed, uint64_t checksum) {
    const uint8_t *packed = nullptr;
    if (Failure failure = unpack_chunk(head, pages, compressed, checksum, packed)) return failure;
    return write_remote_pages(pid, address, image_page_bytes, pages, head.nonzero_pages, packed);
}

Failure clear_pages(pid_t pid, uint64_t address, size_t page_count, uint64_t &written) {
    Workbench &bench = workbench();
    for (size_t first = 0; first < page_count; first += chunk_pages_max) {
        size_t count = page_count - first < chunk_pages_max ? page_count - first : chunk_pages_max;
        uint64_t start = address + first * image_page_bytes;
        if (Failure failure = read_remote(pid, start, bench.raw.get(), count * image_page_bytes)) return failure;
        std::vector<uint32_t> pages = pack_nonzero_pages(bench.raw.get(), image_page_bytes, count);
        if (pages.empty()) continue;
        std::memset(bench.raw.get(), 0, pages.size() * image_page_bytes);
        Failure failure = write_remote_pages(pid, start, image_page_bytes, pages.data(), pages.size(), bench.raw.get());
        if (failure) return failure;
        written += pages.size();
    }
    return {};
}

} // namespace trmig
