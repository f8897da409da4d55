// SPDX-License-Identifier: GPL-2.0-or-later
#include <vector>

#include "../core/layer.h"
#include "binding.h"
#include "buffers.h"

namespace trmig {

namespace {

class ExtentsWork : public RemoteWork {
public:
    ExtentsWork(Napi::Env env, int fd, uint64_t from, uint64_t to, size_t count_max)
        : RemoteWork(env), fd_(fd), from_(from), to_(to), count_max_(count_max) {}

protected:
    Failure Work() override {
        return data_extents(fd_, from_, to_, count_max_, pairs_);
    }

    Napi::Value Result(Napi::Env env) override {
        auto array = Napi::Float64Array::New(env, pairs_.size());
        for (size_t i = 0; i < pairs_.size(); i++) array[i] = static_cast<double>(pairs_[i]);
        return array;
    }

private:
    int fd_;
    uint64_t from_, to_;
    size_t count_max_;
    std::vector<uint64_t> pairs_;
};

class ReadLayerWork : public RemoteWork {
public:
    ReadLayerWork(Napi::Env env, int fd, uint64_t file_bytes, int level, const ChunkHead &head)
        : RemoteWork(env), fd_(fd), file_bytes_(file_bytes), level_(level) {
        chunk_.head = head;
    }

protected:
    Failure Work() override {
        return read_layer_chunk(fd_, file_bytes_, level_, chunk_, digest_);
    }

    Napi::Value Result(Napi::Env env) override {
        auto result = Napi::Object::New(env);
        result.Set("pages", to_page_array(env, chunk_.pages));
        result.Set("compressed", to_buffer(env, std::move(chunk_.compressed)));
        result.Set("checksum", Napi::BigInt::New(env, chunk_.checksum));
        result.Set("digest", Napi::BigInt::New(env, digest_));
        return result;
    }

private:
    int fd_;
    uint64_t file_bytes_;
    int level_;
    Chunk chunk_;
    uint64_t digest_ = 0;
};

class WriteLayerWork : public RemoteWork {
public:
    WriteLayerWork(Napi::Env env, int fd, uint64_t file_bytes, const ChunkHead &head, std::vector<uint32_t> pages,
                   const Napi::Uint8Array &compressed, uint64_t checksum)
        : RemoteWork(env), fd_(fd), file_bytes_(file_bytes), head_(head), pages_(std::move(pages)), checksum_(checksum),
          bytes_(compressed.Data()), compressed_(Napi::Persistent(compressed)) {}

protected:
    Failure Work() override {
        return write_layer_chunk(fd_, file_bytes_, head_, pages_.data(), bytes_, checksum_, digest_);
    }

    Napi::Value Result(Napi::Env env) override {
        return Napi::BigInt::New(env, digest_);
    }

private:
    int fd_;
    uint64_t file_bytes_;
    ChunkHead head_;
    std::vector<uint32_t> pages_;
    uint64_t checksum_;
    uint64_t digest_ = 0;
    const uint8_t *bytes_;
    Napi::Reference<Napi::Uint8Array> compressed_; // keeps bytes_ alive
};

// Main thread. dataExtents(fd, from, to, countMax): Promise<Float64Array> of offsets and lengths
Napi::Value DataExtents(const Napi::CallbackInfo &info) {
    int fd = static_cast<int>(as_u32(info[0]));
    return (new ExtentsWork(info.Env(), fd, as_u64(info[1]), as_u64(info[2]), as_u32(info[3])))->Start();
}

// Main thread. readLayerChunk(fd, fileBytes, level, layer, firstPage, pageCount): Promise<{pages, compressed, checksum,
// digest}>
Napi::Value ReadLayerChunk(const Napi::CallbackInfo &info) {
    ChunkHead head{as_u32(info[3]), as_u32(info[5]), as_u64(info[4]), 0, 0};
    int level = info[2].As<Napi::Number>().Int32Value();
    return (new ReadLayerWork(info.Env(), static_cast<int>(as_u32(info[0])), as_u64(info[1]), level, head))->Start();
}

// Main thread. writeLayerChunk(fd, fileBytes, layer, firstPage, pageCount, pages, compressed, checksum): Promise<bigint>
Napi::Value WriteLayerChunk(const Napi::CallbackInfo &info) {
    auto compressed = info[6].As<Napi::Uint8Array>();
    std::vector<uint32_t> pages = from_page_array(info[5]);
    ChunkHead head{as_u32(info[2]), as_u32(info[4]), as_u64(info[3]), static_cast<uint32_t>(pages.size()),
                   static_cast<uint32_t>(compressed.ByteLength())};
    bool lossless = false;
    uint64_t checksum = info[7].As<Napi::BigInt>().Uint64Value(&lossless);
    return (new WriteLayerWork(info.Env(), static_cast<int>(as_u32(info[0])), as_u64(info[1]), head, std::move(pages),
                               compressed, checksum))
        ->Start();
}

} // namespace

void export_layers(Napi::Env env, Napi::Object exports) {
    exports.Set("dataExtents", Napi::Function::New(env, DataExtents));
    exports.Set("readLayerChunk", Napi::Function::New(env, ReadLayerChunk));
    exports.Set("writeLayerChunk", Napi::Function::New(env, WriteLayerChunk));
}

} // namespace trmig
