// SPDX-License-Identifier: GPL-2.0-or-later
// What the bindings share. They translate, call the core, translate; they hold no policy. src/native is the only caller
// and has checked every argument's type and bounds, so nothing is checked twice here.
#pragma once

#include <cstdint>
#include <napi.h>

#include "../core/failure.h"

namespace trmig {

// An operation on another process's memory, or on a file. It deletes itself when its promise is settled.
class RemoteWork : public Napi::AsyncWorker {
public:
    explicit RemoteWork(Napi::Env env)
        : Napi::AsyncWorker(env, "trmig:remote"), promise_(Napi::Promise::Deferred::New(env)) {}

    // Main thread: begins the work and returns its promise.
    Napi::Value Start() {
        Napi::Promise promise = promise_.Promise();
        Queue();
        return promise;
    }

protected:
    // A thread of libuv's pool: must not touch JavaScript.
    virtual Failure Work() = 0;
    // Main thread, after Work() succeeded: what the promise resolves to.
    virtual Napi::Value Result(Napi::Env env) = 0;

private:
    // A thread of libuv's pool.
    void Execute() override {
        failure_ = Work();
    }

    // Main thread.
    void OnOK() override {
        if (!failure_) {
            promise_.Resolve(Result(Env()));
            return;
        }
        Napi::Error error = Napi::Error::New(Env(), failure_.call);
        error.Set("errno", Napi::Number::New(Env(), failure_.error));
        error.Set("call", Napi::String::New(Env(), failure_.call));
        error.Set("address", Napi::Number::New(Env(), static_cast<double>(failure_.address)));
        promise_.Reject(error.Value());
    }

    // Main thread: Work() threw, which only running out of memory does.
    void OnError(const Napi::Error &error) override {
        promise_.Reject(error.Value());
    }

    Napi::Promise::Deferred promise_;
    Failure failure_;
};

// Main thread. Numbers arrive checked: whole and below 2^53.
inline uint64_t as_u64(const Napi::Value &value) {
    return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

inline uint32_t as_u32(const Napi::Value &value) {
    return value.As<Napi::Number>().Uint32Value();
}

// Each adds its functions to the module's exports. Main thread.
void export_digests(Napi::Env env, Napi::Object exports);
void export_memory(Napi::Env env, Napi::Object exports);
void export_chunks(Napi::Env env, Napi::Object exports);
void export_layers(Napi::Env env, Napi::Object exports);
void export_events(Napi::Env env, Napi::Object exports);

} // namespace trmig
