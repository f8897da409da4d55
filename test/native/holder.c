/*
 * A process that holds memory for the tests to read and write: `holder bytes:pattern …` maps one block per argument,
 * fills it, prints one JSON line {"pid", "blocks": [{"name", "address", "bytes"}]} and sleeps until its stdin ends.
 * Patterns: zero (never touched), noise (incompressible), text (compressible), sparse (every 8th page text),
 * hole (noise, with its second half unmapped).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill(uint8_t *at, size_t bytes, const char *pattern) {
    size_t page = 4096;
    for (size_t offset = 0; offset < bytes; offset += page) {
        if (!strcmp(pattern, "sparse") && offset / page % 8) continue;
        uint64_t *words = (uint64_t *)(at + offset);
        for (size_t i = 0; i < page / 8; i++) {
            uint64_t noise = next_random();
            words[i] = !strcmp(pattern, "noise") || !strcmp(pattern, "hole") ? noise : i % 8 ? i : noise;
        }
    }
}

int main(int argc, char **argv) {
    printf("{\"pid\":%d,\"blocks\":[", (int)getpid());
    for (int i = 1; i < argc; i++) {
        char *pattern = strchr(argv[i], ':');
        size_t bytes = strtoull(argv[i], NULL, 10);
        uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (!pattern || at == MAP_FAILED) return 1;
        pattern++;
        if (strcmp(pattern, "zero")) fill(at, bytes, pattern);
        if (!strcmp(pattern, "hole")) munmap(at + bytes / 2, bytes - bytes / 2);
        printf("%s{\"name\":\"block%d\",\"address\":%llu,\"bytes\":%llu}", i > 1 ? "," : "", i - 1,
               (unsigned long long)(uintptr_t)at, (unsigned long long)bytes);
    }
    printf("]}\n");
    fflush(stdout);
    while (getchar() != EOF) continue;
    return 0;
}
