#!/usr/bin/env node
// The CLI's entry: the path is the command, each one a file in dist/commands.
import { execute } from '@oclif/core';

await execute({ dir: import.meta.url });
