// SPDX-License-Identifier: GPL-2.0-or-later
#include <vector>

#include "../core/layer.h"
#include "chunk_arguments.h"

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
        Napi::Object result = chunk_result(env, chunk_);
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
    WriteLayerWork(Napi::Env env, int fd, uint64_t file_bytes, ForeignChunk chunk)
        : RemoteWork(env), fd_(fd), file_bytes_(file_bytes), chunk_(std::move(chunk)) {}

protected:
    Failure Work() override {
        return write_layer_chunk(fd_, file_bytes_, chunk_.head, chunk_.pages.data(), chunk_.bytes, chunk_.checksum,
                                 digest_);
    }

    Napi::Value Result(Napi::Env env) override {
        return Napi::BigInt::New(env, digest_);
    }

private:
    int fd_;
    uint64_t file_bytes_;
    ForeignChunk chunk_;
    uint64_t digest_ = 0;
};

// Main thread. dataExtents(fd, from, to, countMax): Promise<Float64Array> of offsets and lengths
Napi::Value DataExtents(const Napi::CallbackInfo &info) {
    int fd = static_cast<int>(as_u32(info[0]));
    return (new ExtentsWork(info.Env(), fd, as_u64(info[1]), as_u64(info[2]), as_u32(info[3])))->Start();
}

// Main thread. readLayerChunk(fd, fileBytes, level, layer, firstPage, pageCount): Promise<{pages, compressed, checksum,
// digest}>
Napi::Value ReadLayerChunk(const Napi::CallbackInfo &info) {
    ChunkHead head = wanted_head(info, 3);
    int level = info[2].As<Napi::Number>().Int32Value();
    return (new ReadLayerWork(info.Env(), static_cast<int>(as_u32(info[0])), as_u64(info[1]), level, head))->Start();
}

// Main thread. writeLayerChunk(fd, fileBytes, layer, firstPage, pageCount, pages, compressed, checksum): Promise<bigint>
Napi::Value WriteLayerChunk(const Napi::CallbackInfo &info) {
    return (new WriteLayerWork(info.Env(), static_cast<int>(as_u32(info[0])), as_u64(info[1]), ForeignChunk(info, 2)))
        ->Start();
}

} // namespace

void export_layers(Napi::Env env, Napi::Object exports) {
    exports.Set("dataExtents", Napi::Function::New(env, DataExtents));
    exports.Set("readLayerChunk", Napi::Function::New(env, ReadLayerChunk));
    exports.Set("writeLayerChunk", Napi::Function::New(env, WriteLayerChunk));
}

} // namespace trmig
