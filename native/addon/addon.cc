// SPDX-License-Identifier: GPL-2.0-or-later
// The module's entry. Loadable in any number of worker threads: there is no state but each thread's own buffers.
#include "binding.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
    trmig::export_digests(env, exports);
    trmig::export_memory(env, exports);
    trmig::export_chunks(env, exports);
    trmig::export_layers(env, exports);
    trmig::export_events(env, exports);
    return exports;
}

NODE_API_MODULE(trmig, Init)
