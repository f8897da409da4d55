// SPDX-License-Identifier: GPL-2.0-or-later
// The core by itself, under address and undefined-behaviour sanitizers. "Another process" is this one.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "../chunk.h"
#include "../digest.h"
#include "../events.h"
#include "../layer.h"
#include "../pages.h"
#include "../remote.h"

using namespace trmig;

namespace {

int failures = 0;

void expect(bool holds, const char *what, int line) {
    if (holds) return;
    std::fprintf(stderr, "core_test.cc:%d: %s\n", line, what);
    failures++;
}
#define EXPECT(holds) expect((holds), #holds, __LINE__)

using Bytes = std::vector<uint8_t>;

Bytes integer(uint64_t value, int bytes) {
    Bytes out;
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
    return out;
}

Bytes join(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes &part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

// Scans bytes that must be exactly one event of `kind` whose first operand is `value`.
void expect_event(const Bytes &bytes, uint8_t kind, uint64_t value, int line) {
    trmig_event_scanner s;
    trmig_event_scanner_init(&s);
    for (size_t at = 0; at < bytes.size(); at++) {
        int wanted = at + 1 == bytes.size() ? TRMIG_SCAN_EVENT : TRMIG_SCAN_PARTIAL;
        expect(trmig_event_scan_byte(&s, bytes[at]) == wanted, "one event", line);
    }
    expect(s.kind == kind && s.value == value && s.events == 1 && s.counts[kind] == 1, "its kind and value", line);
    expect(s.bytes == bytes.size(), "its length", line);
}
#define EXPECT_EVENT(bytes, kind, value) expect_event((bytes), (kind), (value), __LINE__)

void test_event_shapes() {
    EXPECT_EVENT(join({{0}, integer(77, 4)}), 0, 77);
    EXPECT_EVENT(join({{0}, integer(INT32_MAX, 4)}), 0, INT32_MAX);
    for (uint8_t kind : {1, 2, 6, 10, 20, 30, 38, 39}) EXPECT_EVENT(Bytes{kind}, kind, 0);
    for (uint8_t kind : {3, 4, 8, 25, 28, 29}) {
        EXPECT_EVENT(join({{kind}, integer(0xfedcba9876543210, 8)}), kind, 0xfedcba9876543210);
    }
    EXPECT_EVENT(join({{5}, integer(0, 4), integer(0, 4), integer(9, 8), {1}}), 5, 0);
    EXPECT_EVENT(join({{5}, integer(0, 4), integer(1, 4), integer(9, 4), {1}}), 5, 0);
    EXPECT_EVENT(join({{5}, integer(1, 4), integer(9, 4), {1}}), 5, 1);
    EXPECT_EVENT(join({{5}, integer(2, 4), integer(9, 4), integer(1, 8)}), 5, 2);
    EXPECT_EVENT(join({{5}, integer(3, 4), integer(9, 4), integer(1, 8)}), 5, 3);
    EXPECT_EVENT(join({{5}, integer(4, 4), integer(9, 4), integer(1, 8), integer(2, 8), integer(0, 4), integer(3, 8)}),
                 5, 4);
    EXPECT_EVENT(join({{7}, {3}, integer(2, 4), {1, 2}}), 7, 3);
    EXPECT_EVENT(join({{7}, {3}, integer(0, 4)}), 7, 3);
    EXPECT_EVENT(join({{9}, {1}, integer(5, 4), integer(3, 4), {1, 2, 3}}), 9, 1);
    EXPECT_EVENT(join({{22}, integer(4, 4), integer(6, 4)}), 22, 4);
    EXPECT_EVENT(join({{23}, integer(1, 4), {0}}), 23, 1);
    EXPECT_EVENT(join({{24}, integer(0xffffffff, 4)}), 24, 0xffffffff);
    EXPECT_EVENT(join({{26}, integer(1, 8), integer(4, 8), integer(0, 8), integer(0, 8)}), 26, 1);
    EXPECT_EVENT(join({{27}, integer(0, 4), integer(4, 4), {1, 2, 3, 4}}), 27, 0);
    EXPECT_EVENT(join({{23}, integer(TRMIG_EVENT_VARIABLE_BYTES_MAX, 4), Bytes(TRMIG_EVENT_VARIABLE_BYTES_MAX)}), 23,
                 TRMIG_EVENT_VARIABLE_BYTES_MAX);
}

void test_event_sums() {
    trmig_event_scanner s;
    trmig_event_scanner_init(&s);
    Bytes log = join({{0},
                      integer(5, 4),
                      {28},
                      integer(1000, 8),
                      {0},
                      integer(6, 4),
                      {29},
                      integer(2000, 8),
                      {8},
                      integer(1, 8),
                      {28},
                      integer(3000, 8)});
    for (uint8_t byte : log) EXPECT(trmig_event_scan_byte(&s, byte) != TRMIG_SCAN_ERROR);
    EXPECT(s.instructions == 11 && s.events == 6 && s.block_events == 1 && s.bytes == log.size());
    EXPECT(s.clock[0] == 3000 && s.clock[1] == 2000);
}

void test_event_refusals() {
    for (const Bytes &bytes :
         {Bytes{21}, Bytes{40}, Bytes{255}, join({{0}, integer(0, 4)}), join({{0}, integer(0x80000000, 4)}),
          join({{5}, integer(5, 4)}), join({{5}, integer(0, 4), integer(2, 4)}), join({{23}, integer(0xffffffff, 4)}),
          join({{26}, integer(UINT64_MAX, 8), integer(0, 8)})}) {
        trmig_event_scanner s;
        trmig_event_scanner_init(&s);
        for (size_t at = 0; at < bytes.size(); at++) {
            int wanted = at + 1 == bytes.size() ? TRMIG_SCAN_ERROR : TRMIG_SCAN_PARTIAL;
            EXPECT(trmig_event_scan_byte(&s, bytes[at]) == wanted);
        }
        EXPECT(s.error != nullptr && s.events == 0 && s.bytes == 0);
        EXPECT(trmig_event_scan_byte(&s, 1) == TRMIG_SCAN_ERROR);
    }
}

void test_zero_pages() {
    std::vector<uint64_t> words(image_page_bytes / 8);
    auto *page = reinterpret_cast<uint8_t *>(words.data());
    EXPECT(is_zero_page(page, image_page_bytes));
    for (size_t at : {size_t{0}, size_t{63}, size_t{64}, size_t{2048}, image_page_bytes - 1}) {
        page[at] = 1;
        EXPECT(!is_zero_page(page, image_page_bytes));
        page[at] = 0;
    }
    Bytes pages(5 * image_page_bytes);
    pages[1 * image_page_bytes + 5] = 11;
    pages[4 * image_page_bytes + 6] = 44;
    EXPECT((pack_nonzero_pages(pages.data(), image_page_bytes, 5) == std::vector<uint32_t>{1, 4}));
    EXPECT(pages[5] == 11 && pages[image_page_bytes + 6] == 44);
}

uint64_t address_of(const void *at) {
    return reinterpret_cast<uintptr_t>(at);
}

Bytes noise(size_t bytes) {
    Bytes out(bytes);
    uint32_t state = 12345;
    for (uint8_t &byte : out) byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    return out;
}

void test_remote() {
    Bytes from = noise(3 * remote_call_bytes_max + 12345);
    Bytes to(from.size());
    EXPECT(!read_remote(getpid(), address_of(from.data()), to.data(), from.size()));
    EXPECT(from == to);

    // More separate runs than one call can take.
    Bytes target(2000 * 3 * image_page_bytes);
    std::vector<uint32_t> pages;
    for (uint32_t i = 0; i < 2000; i++) pages.push_back(i * 3 + (i % 2));
    Bytes data = noise(pages.size() * image_page_bytes);
    EXPECT(!write_remote_pages(getpid(), address_of(target.data()), image_page_bytes, pages.data(), pages.size(),
                               data.data()));
    bool equal = true;
    for (size_t i = 0; i < pages.size(); i++) {
        equal =
            equal && !std::memcmp(&target[pages[i] * image_page_bytes], &data[i * image_page_bytes], image_page_bytes);
    }
    EXPECT(equal);
    EXPECT(is_zero_page(&target[1 * image_page_bytes], image_page_bytes));

    // Huge pages, larger than what one call moves.
    const size_t huge = 2 * 1024 * 1024;
    Bytes large = noise(2 * huge);
    Bytes space(4 * huge);
    std::vector<uint32_t> sparse{0, 3};
    EXPECT(!write_remote_pages(getpid(), address_of(space.data()), huge, sparse.data(), 2, large.data()));
    EXPECT(!std::memcmp(&space[3 * huge], &large[huge], huge));

    void *hole = mmap(nullptr, 4 * image_page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(static_cast<uint8_t *>(hole) + 2 * image_page_bytes, 2 * image_page_bytes);
    Failure failure = read_remote(getpid(), address_of(hole), to.data(), 4 * image_page_bytes);
    EXPECT(failure.error == EFAULT && failure.address == address_of(hole) + 2 * image_page_bytes);
    munmap(hole, 2 * image_page_bytes);
}

void test_digest() {
    Bytes bytes = noise(remote_call_bytes_max + 777);
    std::string hex;
    EXPECT(!digest_remote(getpid(), {{address_of(bytes.data()), 1000}, {address_of(&bytes[1000]), bytes.size() - 1000}},
                          hex));
    EXPECT(hex == xxh3_128_hex(bytes.data(), bytes.size()));
}

void test_chunks() {
    const size_t count = 200;
    Bytes from(count * image_page_bytes);
    for (size_t page = 0; page < count; page += 3) from[page * image_page_bytes + page] = 7;
    Chunk chunk;
    chunk.head = {2, count, 1000, 0, 0};
    EXPECT(!capture_chunk(getpid(), address_of(from.data()), 1, chunk));
    EXPECT(chunk.pages.size() == 67 && chunk.head.nonzero_pages == 67);

    Bytes to(from.size());
    auto restore = [&](const ChunkHead &head, uint64_t checksum) {
        return restore_chunk(getpid(), address_of(to.data()), head, chunk.pages.data(), chunk.compressed.data(),
                             checksum);
    };
    EXPECT(restore(chunk.head, chunk.checksum + 1).error == EBADMSG);
    ChunkHead moved = chunk.head;
    moved.first_page++;
    EXPECT(restore(moved, chunk.checksum).error == EBADMSG);
    chunk.compressed[chunk.head.compressed_bytes / 2] ^= 1;
    EXPECT(restore(chunk.head, chunk.checksum).error == EBADMSG);
    chunk.compressed[chunk.head.compressed_bytes / 2] ^= 1;
    EXPECT(std::all_of(to.begin(), to.end(), [](uint8_t byte) { return byte == 0; }));
    EXPECT(!restore(chunk.head, chunk.checksum));
    EXPECT(from == to);

    uint64_t written = 0;
    EXPECT(!clear_pages(getpid(), address_of(to.data()), count, written));
    EXPECT(written == 67 && is_zero_page(to.data(), to.size()));
}

void test_layers() {
    char name[] = "/tmp/trmig-core-XXXXXX";
    int fd = mkstemp(name);
    EXPECT(fd >= 0 && unlink(name) == 0);
    // Two MiB and a bit: data at the beginning, a hole, data that ends inside a page.
    const uint64_t mib = chunk_pages_max * image_page_bytes, bytes = 2 * mib + 100;
    EXPECT(ftruncate(fd, static_cast<off_t>(bytes)) == 0);
    Bytes data(10000, 7);
    EXPECT(pwrite(fd, data.data(), data.size(), 0) == 10000);
    EXPECT(pwrite(fd, data.data(), 100, static_cast<off_t>(2 * mib)) == 100);
    std::vector<uint64_t> pairs;
    EXPECT(!data_extents(fd, 0, bytes, 100, pairs));
    EXPECT(pairs.size() >= 2 && pairs[0] == 0 && pairs[1] >= 10000);
    pairs.clear();
    EXPECT(!data_extents(fd, 0, bytes, 1, pairs) && pairs.size() == 2);
    pairs.clear();
    EXPECT(data_extents(-1, 0, bytes, 1, pairs).error == EBADF);

    char copy_name[] = "/tmp/trmig-core-XXXXXX";
    int copy = mkstemp(copy_name);
    EXPECT(copy >= 0 && unlink(copy_name) == 0 && ftruncate(copy, static_cast<off_t>(bytes)) == 0);
    for (uint64_t first : {uint64_t{0}, uint64_t{256}, uint64_t{512}}) {
        Chunk chunk;
        chunk.head = {3, first == 512 ? 1u : 256u, first, 0, 0};
        uint64_t digest = 0, written = 0;
        EXPECT(!read_layer_chunk(fd, bytes, 1, chunk, digest));
        EXPECT(chunk.pages.size() == (first == 0 ? 3u : first == 512 ? 1u : 0u));
        if (chunk.pages.empty()) continue;
        EXPECT(!write_layer_chunk(copy, bytes, chunk.head, chunk.pages.data(), chunk.compressed.data(), chunk.checksum,
                                  written));
        EXPECT(written == digest);
        chunk.compressed[0] ^= 1;
        EXPECT(write_layer_chunk(copy, bytes, chunk.head, chunk.pages.data(), chunk.compressed.data(), chunk.checksum,
                                 written)
                   .error == EBADMSG);
    }
    Bytes a(bytes), b(bytes);
    EXPECT(pread(fd, a.data(), bytes, 0) == static_cast<ssize_t>(bytes));
    EXPECT(pread(copy, b.data(), bytes, 0) == static_cast<ssize_t>(bytes));
    EXPECT(a == b);
    EXPECT(lseek(copy, 0, SEEK_END) == static_cast<off_t>(bytes));
    Chunk beyond;
    beyond.head = {0, 256, 512, 0, 0};
    uint64_t digest = 0;
    EXPECT(read_layer_chunk(fd, 3 * mib, 1, beyond, digest).error == EIO);
    close(fd);
    close(copy);
}

} // namespace

int main() {
    test_event_shapes();
    test_event_sums();
    test_event_refusals();
    test_zero_pages();
    test_remote();
    test_digest();
    test_chunks();
    test_layers();
    if (failures == 0) std::puts("core: all tests passed");
    return failures == 0 ? 0 : 1;
}
