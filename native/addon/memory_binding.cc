// SPDX-License-Identifier: GPL-2.0-or-later
#include <vector>

#include "../core/chunk.h"
#include "../core/pages.h"
#include "../core/remote.h"
#include "binding.h"
#include "buffers.h"

namespace trmig {

namespace {

class ReadWork : public RemoteWork {
public:
    ReadWork(Napi::Env env, pid_t pid, uint64_t address, size_t bytes, size_t page_bytes)
        : RemoteWork(env), pid_(pid), address_(address), bytes_(bytes), page_bytes_(page_bytes) {}

protected:
    Failure Work() override {
        data_ = make_page_buffer(bytes_);
        if (Failure failure = read_remote(pid_, address_, data_.get(), bytes_)) return failure;
        pages_ = pack_nonzero_pages(data_.get(), page_bytes_, bytes_ / page_bytes_);
        return {};
    }

    Napi::Value Result(Napi::Env env) override {
        auto result = Napi::Object::New(env);
        result.Set("zeroPages", Napi::Number::New(env, static_cast<double>(bytes_ / page_bytes_ - pages_.size())));
        result.Set("pages", to_page_array(env, pages_));
        result.Set("data", to_buffer(env, std::move(data_), pages_.size() * page_bytes_));
        return result;
    }

private:
    pid_t pid_;
    uint64_t address_;
    size_t bytes_;
    size_t page_bytes_;
    PageBuffer data_;
    std::vector<uint32_t> pages_;
};

class WriteWork : public RemoteWork {
public:
    WriteWork(Napi::Env env, pid_t pid, uint64_t address, size_t page_bytes, std::vector<uint32_t> pages,
              const Napi::Uint8Array &data)
        : RemoteWork(env), pid_(pid), address_(address), page_bytes_(page_bytes), pages_(std::move(pages)),
          bytes_(data.Data()), data_(Napi::Persistent(data)) {}

protected:
    Failure Work() override {
        return write_remote_pages(pid_, address_, page_bytes_, pages_.data(), pages_.size(), bytes_);
    }

    Napi::Value Result(Napi::Env env) override {
        return env.Undefined();
    }

private:
    pid_t pid_;
    uint64_t address_;
    size_t page_bytes_;
    std::vector<uint32_t> pages_;
    const uint8_t *bytes_;
    Napi::Reference<Napi::Uint8Array> data_; // keeps bytes_ alive
};

class ClearWork : public RemoteWork {
public:
    ClearWork(Napi::Env env, pid_t pid, uint64_t address, uint64_t bytes)
        : RemoteWork(env), pid_(pid), address_(address), bytes_(bytes) {}

protected:
    Failure Work() override {
        return clear_pages(pid_, address_, bytes_ / image_page_bytes, written_);
    }

    Napi::Value Result(Napi::Env env) override {
        return Napi::Number::New(env, static_cast<double>(written_));
    }

private:
    pid_t pid_;
    uint64_t address_;
    uint64_t bytes_;
    uint64_t written_ = 0;
};

// Main thread. readPages(pid, address, bytes, pageBytes): Promise<{pages, data, zeroPages}>
Napi::Value ReadPages(const Napi::CallbackInfo &info) {
    return (new ReadWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), as_u64(info[2]),
                         as_u64(info[3])))
        ->Start();
}

// Main thread. writePages(pid, address, pageBytes, pages, data): Promise<void>
Napi::Value WritePages(const Napi::CallbackInfo &info) {
    return (new WriteWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), as_u64(info[2]),
                          from_page_array(info[3]), info[4].As<Napi::Uint8Array>()))
        ->Start();
}

// Main thread. clearPages(pid, address, bytes): Promise<number>
Napi::Value ClearPages(const Napi::CallbackInfo &info) {
    return (new ClearWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), as_u64(info[2])))->Start();
}

} // namespace

void export_memory(Napi::Env env, Napi::Object exports) {
    exports.Set("readPages", Napi::Function::New(env, ReadPages));
    exports.Set("writePages", Napi::Function::New(env, WritePages));
    exports.Set("clearPages", Napi::Function::New(env, ClearPages));
}

} // namespace trmig
