// SPDX-License-Identifier: GPL-2.0-or-later
// What went wrong in a system call or a codec, as plain data: the core throws nothing and words nothing for people.
#pragma once

#include <cstdint>

namespace trmig {

struct Failure {
    int error = 0;         // errno; 0 means that nothing failed
    const char *call = ""; // what failed: a system call's name, or "zstd", "chunk"
    uint64_t address = 0;  // the other process's address, where there is one
    explicit operator bool() const {
        return error != 0;
    }
};

} // namespace trmig
