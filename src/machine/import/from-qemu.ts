// A QEMU command line as a machine spec. All options are read before anything is connected, because QEMU lets a device name a
// drive that is defined after it.
//
// Invariants: pure; every word of the command line ends up in a finding, alone or with the option that it belongs to.
import path from 'node:path';
import { TrmigError } from '../../errors.js';
import { importBytesMax } from '../../limits.js';
import { importAccelerator, importArch } from './board-names.js';
import { Draft } from './draft.js';
import type { ImportOptions, Imported } from './finding.js';
import { deviceReason } from './profile-reason.js';
import { readArgv } from './qemu-argv.js';
import { asideOptions, furtherOptions } from './qemu-aside.js';
import { boardOptions, defaultBoard } from './qemu-board.js';
import { consoleOptions, defaultConsole } from './qemu-consoles.js';
import { deviceOptions, finishDevices } from './qemu-devices.js';
import { diskOptions, finishDisks } from './qemu-disks.js';
import { finishNics, nicOptions } from './qemu-nics.js';
import { newState, type OptionHandler, type QemuState } from './qemu-state.js';

const handlers: ReadonlyMap<string, OptionHandler> = new Map(
  [asideOptions, furtherOptions, boardOptions, consoleOptions, deviceOptions, diskOptions, nicOptions].flatMap(
    (table) => Object.entries(table),
  ),
);

/**
 * Reads a command line, with or without the binary in front.
 * @throws E_USAGE when it is longer than any command line is
 */
export function importQemu(argv: readonly string[], options: ImportOptions): Imported {
  checkLength(argv.reduce((bytes, word) => bytes + Buffer.byteLength(word) + 1, 0));
  const draft = new Draft(options);
  const state = newState(draft);
  const first = argv[0];
  const named = first !== undefined && !first.startsWith('-');
  if (named) importBinary(draft, first);
  applyArguments(state, named ? argv.slice(1) : argv);
  defaultBoard(state);
  defaultConsole(state);
  if (!state.displaySaid && !state.nodefaults) {
    draft.leftOut('(no -display)', `the VGA card that QEMU adds: ${deviceReason('VGA')}`);
  }
  return draft.complete();
}

/** Reads options into a state, and connects what they define. */
export function applyArguments(state: QemuState, argv: readonly string[], prefix = ''): void {
  const { draft } = state;
  // The board decides what a drive without a bus is, and which nic is the default.
  const read = readArgv(argv).toSorted((a, b) => Number(isBoard(b.name)) - Number(isBoard(a.name)));
  const first = draft.at + 1;
  for (const { name, value, input, at, problem } of read) {
    draft.at = first + at;
    const handler = handlers.get(name);
    if (problem !== null || handler === undefined)
      draft.refused(`${prefix}${input}`, problem ?? 'a spec has no field for it');
    else handler(state, value, `${prefix}${input}`);
  }
  const last = first + argv.length + 1;
  for (const finish of [finishDevices, finishDisks, finishNics]) {
    finish(state);
    draft.at = last;
  }
}

const isBoard = (name: string): boolean => name === 'machine' || name === 'M';

function importBinary(draft: Draft, binary: string): void {
  const name = path.basename(binary);
  if (name === 'kvm' || name === 'qemu-kvm') {
    draft.kept(binary, 'arch: x86_64');
    importAccelerator(draft, binary, 'kvm');
    return;
  }
  const [, arch] = /^qemu-system-([a-z0-9_]+)$/.exec(name) ?? [];
  if (arch !== undefined) importArch(draft, binary, arch);
  else draft.refused(binary, 'this is not the name of a QEMU: begin with qemu-system-x86_64');
}

/** @throws E_USAGE */
export function checkLength(bytes: number): void {
  if (bytes <= importBytesMax) return;
  throw new TrmigError('E_USAGE', `what is to be imported has more than ${importBytesMax} bytes`, {
    facts: { bytesMax: importBytesMax },
  });
}
