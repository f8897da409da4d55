# The project's one entry: `make test` on a fresh Debian 12 or 13 does everything from nothing.
#
#   make setup    install what is missing (scripts/setup.sh)
#   make native   the tracer (QEMU plugin) and the node addon
#   make build    TypeScript to dist/
#   make guests   the Linux guests that the tests boot, x86_64 and aarch64, to out/guests/
#   make check    types, lint, formatting
#   make docs     what is derived from the sources: docs/errors.md, docs/cli.md, the CLI's manifest
#   make format   mend the formatting that check would refuse
#   make test     all of the above but check, then every test except test/soak;  TESTS=test/log for some
#   make soak     the long tests of test/soak
#   make fuzz     one fuzz target on end;  TARGET=wire-bodies SECONDS=600
#   make bench    trmig beside QEMU's own migration
#   make demo     a migration to look at, as root between two hosts;  GUEST=aarch64 for an emulated Arm machine
#   make clean    remove what was built here (the shared cache stays)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

# The private node, if there is one, is known only after setup: each recipe asks anew.
in_env := . scripts/env.sh;

.PHONY: all setup native tracer addon core-test build guests check docs format test soak fuzz fuzzers bench demo clean compile-tests

all: native build

setup:
	@scripts/setup.sh

tracer: setup
	@if [ -f native/tracer/Makefile ]; then $(MAKE) -s -C native/tracer; fi

addon: setup
	@$(in_env) if [ -f native/addon/binding.gyp ]; then scripts/build-addon.sh; fi

native: tracer addon

build: setup
	@$(in_env) tsc -p tsconfig.json

compile-tests: setup
	@$(in_env) tsc -p tsconfig.test.json

guests: setup
	@fixtures/guests/build.sh x86_64
	@fixtures/guests/build.sh aarch64

check: setup
	@$(in_env) scripts/check.sh

docs: build
	@$(in_env) node scripts/errors-doc.mjs; node scripts/cli-docs.mjs

format: setup
	@$(in_env) prettier --write --log-level warn .; \
	  git ls-files -co --exclude-standard -- 'native/*.c' 'native/*.cc' 'native/*.h' 'fixtures/*.c' 'fixtures/*.h' | xargs clang-format -i

# The native core by itself, under sanitizers.
core-test: setup
	@if [ -f native/core/Makefile ]; then $(MAKE) -s -C native/core test; fi

# Fuzz targets in C and C++, and libFuzzer as an addon for those in TypeScript.
fuzzers: setup
	@$(in_env) $(MAKE) -s -C native/fuzz

fuzz: native build compile-tests fuzzers
	@$(in_env) node build/test/fuzz/main.js "$(TARGET)" -max_total_time=$(or $(SECONDS),600) -print_final_stats=1 $(ARGS)

test: native build guests compile-tests fuzzers
	@$(in_env) status=0; \
	  $(if $(TESTS),,make core-test || status=1;) \
	  scripts/run-tests.sh $(or $(TESTS),test) || status=1; \
	  exit $$status

soak: native build guests compile-tests fuzzers
	@$(in_env) scripts/run-tests.sh test/soak

bench: native build guests compile-tests
	@$(in_env) node build/bench/main.js $(ARGS)

demo: native build compile-tests
	@fixtures/guests/build.sh $(or $(GUEST),x86_64)
	@$(in_env) scripts/demo.sh $(or $(GUEST),x86_64)

clean:
	@rm -rf dist build out .tap native/addon/build native/core/build native/fuzz/build
	@if [ -f native/tracer/Makefile ]; then $(MAKE) -s -C native/tracer clean; fi
