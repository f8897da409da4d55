// SPDX-License-Identifier: GPL-2.0-or-later
// A disk layer's file in chunks: the same chunks as a RAM image's, with the layer's number in place of the block's and the
// file's offset in place of the address. A chunk is one aligned MiB of the file, the last one shorter; what of it lies past
// the file's end counts as zero and is never written. Beside each chunk goes the digest of its raw bytes, so that the
// whole file's digest needs no second reading.
// Any thread but the main one; each keeps buffers of its own (about 1 MiB besides chunk.h's).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "chunk.h"
#include "failure.h"

namespace trmig {

// Where the file holds data between `from` and `to`: pairs of offset and length, ascending, at most `count_max` of them.
// A file system that cannot tell has one extent of all.
Failure data_extents(int fd, uint64_t from, uint64_t to, size_t count_max, std::vector<uint64_t> &pairs);

// Reads the pages that chunk.head names, fills everything else, and digests the raw bytes (XXH3-64). EIO: the file ends
// before `file_bytes`.
Failure read_layer_chunk(int fd, uint64_t file_bytes, int level, Chunk &chunk, uint64_t &digest);

// Verifies a chunk and writes its pages, which are the only ones of that range that are not zero; digests the range.
// Errors as restore_chunk's, or the system call's.
Failure write_layer_chunk(int fd, uint64_t file_bytes, const ChunkHead &head, const uint32_t *pages,
                          const uint8_t *compressed, uint64_t checksum, uint64_t &digest);

} // namespace trmig
