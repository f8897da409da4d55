#!/usr/bin/env node
// The CLI's entry: the path is the command, each one a file in dist/commands.
import { execute, settings } from '@oclif/core';

// Recordings hold a guest's memory, reports its doings: whatever trmig makes is its user's alone.
process.umask(0o077);
// What runs is what was built, whatever NODE_ENV says.
settings.enableAutoTranspile = false;
await execute({ dir: import.meta.url });
