// SPDX-License-Identifier: GPL-2.0-or-later
#include "layer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "page_buffer.h"

namespace trmig {

namespace {

uint8_t *workspace() {
    thread_local PageBuffer buffer = make_page_buffer(chunk_pages_max * image_page_bytes);
    return buffer.get();
}

// How many bytes of the chunk's range lie inside the file.
size_t bytes_inside(const ChunkHead &head, uint64_t file_bytes) {
    uint64_t start = head.first_page * image_page_bytes;
    uint64_t bytes = head.page_count * image_page_bytes;
    return static_cast<size_t>(std::min(bytes, file_bytes - start));
}

Failure write_fully(int fd, const uint8_t *data, size_t bytes, uint64_t offset) {
    for (size_t at = 0; at < bytes;) {
        ssize_t written = pwrite(fd, data + at, bytes - at, static_cast<off_t>(offset + at));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return {errno, "pwrite", 0};
        at += static_cast<size_t>(written);
    }
    return {};
}

} // namespace

Failure data_extents(int fd, uint64_t from, uint64_t to, size_t count_max, std::vector<uint64_t> &pairs) {
    for (uint64_t at = from; at < to && pairs.size() < 2 * count_max;) {
        off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) break; // Nothing but a hole up to the end.
        if (data < 0 && errno == EINVAL) {     // A block device, say: all of it is data.
            pairs.insert(pairs.end(), {at, to - at});
            break;
        }
        if (data < 0) return {errno, "lseek", 0};
        if (static_cast<uint64_t>(data) >= to) break;
        off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0) return {errno, "lseek", 0};
        uint64_t end = std::min(static_cast<uint64_t>(hole), to);
        pairs.insert(pairs.end(), {static_cast<uint64_t>(data), end - static_cast<uint64_t>(data)});
        at = end;
    }
    return {};
}

Failure read_layer_chunk(int fd, uint64_t file_bytes, int level, Chunk &chunk, uint64_t &digest) {
    uint8_t *raw = workspace();
    size_t inside = bytes_inside(chunk.head, file_bytes);
    uint64_t start = chunk.head.first_page * image_page_bytes;
    for (size_t at = 0; at < inside;) {
        ssize_t got = pread(fd, raw + at, inside - at, static_cast<off_t>(start + at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return {errno, "pread", 0};
        if (got == 0) return {EIO, "pread", 0};
        at += static_cast<size_t>(got);
    }
    std::memset(raw + inside, 0, chunk.head.page_count * image_page_bytes - inside);
    digest = XXH3_64bits(raw, inside);
    return pack_chunk(raw, level, chunk);
}

Failure write_layer_chunk(int fd, uint64_t file_bytes, const ChunkHead &head, const uint32_t *pages,
                          const uint8_t *compressed, uint64_t checksum, uint64_t &digest) {
    const uint8_t *packed = nullptr;
    if (Failure failure = unpack_chunk(head, pages, compressed, checksum, packed)) return failure;
    uint8_t *raw = workspace();
    size_t inside = bytes_inside(head, file_bytes);
    std::memset(raw, 0, head.page_count * image_page_bytes);
    for (size_t i = 0; i < head.nonzero_pages; i++) {
        std::memcpy(raw + pages[i] * image_page_bytes, packed + i * image_page_bytes, image_page_bytes);
    }
    digest = XXH3_64bits(raw, inside);
    uint64_t start = head.first_page * image_page_bytes;
    for (size_t i = 0; i < head.nonzero_pages;) {
        size_t first = pages[i], end = first + 1;
        for (i++; i < head.nonzero_pages && pages[i] == end; i++) end++;
        size_t from = first * image_page_bytes, to = std::min(end * image_page_bytes, inside);
        if (Failure failure = write_fully(fd, raw + from, to - from, start + from)) return failure;
    }
    return {};
}

} // namespace trmig
