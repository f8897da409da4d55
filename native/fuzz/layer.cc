// SPDX-License-Identifier: GPL-2.0-or-later
// Any chunk of a disk's layer, in a file that ends inside the chunk or behind it: it is refused or written, its digest is
// the file's, and the file keeps its length.
#include "foreign_chunk.h"

#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

#include "../core/layer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace trmig;
    ForeignChunk chunk;
    if (size < 2 || !chunk.read(data + 1, size - 1)) return 0;
    // The chunk's pages are those of the file's range: the last may be short.
    const uint64_t file_bytes = chunk.head.page_count * image_page_bytes - data[0] * 16u;
    static const int fd = memfd_create("trmig-fuzz", 0);
    if (ftruncate(fd, 0) != 0 || ftruncate(fd, static_cast<off_t>(file_bytes)) != 0) std::abort();
    uint64_t written = 0, read = 0;
    Failure failure =
        write_layer_chunk(fd, file_bytes, chunk.head, chunk.pages.data(), chunk.compressed, chunk.checksum, written);
    if (lseek(fd, 0, SEEK_END) != static_cast<off_t>(file_bytes)) std::abort();
    if (failure) return 0;
    Chunk again;
    again.head.page_count = chunk.head.page_count;
    if (read_layer_chunk(fd, file_bytes, 1, again, read) || read != written) std::abort();
    return 0;
}
