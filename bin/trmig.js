#!/usr/bin/env node
// The CLI's entry: the path is the command, each one a file in dist/commands.
import { execute, settings } from '@oclif/core';

// What runs is what was built, whatever NODE_ENV says.
settings.enableAutoTranspile = false;
await execute({ dir: import.meta.url });
