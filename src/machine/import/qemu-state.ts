// What a QEMU command line has defined so far: drives, netdevs and chardevs are defined in one place and used in another, in
// any order. Handlers of options fill this in; from-qemu.ts connects the ends once all is read.
import type { Draft } from './draft.js';
import type { OptionString } from './option-string.js';

/** A drive that QEMU connects by itself, or that a device names. */
export interface DriveDefinition {
  readonly input: string;
  readonly at: number;
  readonly options: OptionString;
  used: boolean;
}

export interface DeviceRequest {
  readonly input: string;
  readonly at: number;
  readonly driver: string;
  readonly options: OptionString;
}

export interface QemuState {
  readonly draft: Draft;
  /** -drive if=none, by id. */
  readonly drives: Map<string, DriveDefinition>;
  /** -blockdev, by node name. */
  readonly nodes: Map<string, DriveDefinition>;
  /** -netdev, by id. */
  readonly netdevs: Map<string, DriveDefinition>;
  readonly devices: DeviceRequest[];
  /** -net, in pairs of a nic and a backend. */
  readonly oldNics: DeviceRequest[];
  readonly oldBackends: DeviceRequest[];
  /** Boot indexes by the disk's index. */
  readonly bootOrder: Map<number, number>;
  /** No device but those named. */
  nodefaults: boolean;
  /** Something was said about networks, so that QEMU adds none. */
  netSaid: boolean;
  displaySaid: boolean;
  memorySaid: boolean;
  serialPorts: number;
}

/** Handles one option: `input` is how it was typed, `value` what followed it. */
export type OptionHandler = (state: QemuState, value: string, input: string) => void;

export function newState(draft: Draft): QemuState {
  return {
    draft,
    drives: new Map(),
    nodes: new Map(),
    netdevs: new Map(),
    devices: [],
    oldNics: [],
    oldBackends: [],
    bootOrder: new Map(),
    nodefaults: false,
    netSaid: false,
    displaySaid: false,
    memorySaid: false,
    serialPorts: 0,
  };
}

/** What nobody took is refused by name. */
export function refuseRest(draft: Draft, what: string, options: OptionString): void {
  for (const [key, value] of options.rest()) draft.refused(`${what} ${key}=${value}`, 'a spec has no field for it');
}

/** Defines something under its id, once. */
export function define(
  draft: Draft,
  definitions: Map<string, DriveDefinition>,
  id: string | undefined,
  definition: Omit<DriveDefinition, 'at' | 'used'>,
): void {
  if (id === undefined) draft.refused(definition.input, 'it has no name that a device could use');
  else if (definitions.has(id)) draft.refused(definition.input, `something else is called ${id}`);
  else definitions.set(id, { ...definition, at: draft.at, used: false });
}

export const notJson = 'this is neither key=value nor JSON as QEMU has it';
