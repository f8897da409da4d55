// A spec while it is being imported: fields, disks and nics as they turn up, and a finding for each.
//
// Invariants:
// - Nothing is dropped without a finding: whatever reads the input ends in kept(), changed() or refused().
// - complete() depends on the input and the name alone: the same import gives the same addresses on every host.
import { createHash } from 'node:crypto';
import path from 'node:path';
import { machineNameCharsMax } from '../../limits.js';
import { machineNamePattern } from '../home.js';
import {
  shown,
  type DiskFields,
  type ImportFinding,
  type ImportOptions,
  type Imported,
  type NicFields,
  type SpecFields,
} from './finding.js';

/** A nic in the making: what is missing is derived from the machine's name, which may not be known yet. */
export interface NicRequest {
  readonly input: string;
  readonly backend: 'tap' | 'user';
  readonly mac?: string | undefined;
  readonly interface?: string | undefined;
  /** For a tap device that the spec has to invent: what it must be connected to. */
  readonly bridge?: string | undefined;
}

interface Placed extends ImportFinding {
  readonly at: number;
}

export class Draft {
  readonly fields: Partial<SpecFields> = {};
  readonly disks: DiskFields[] = [];
  readonly nics: NicRequest[] = [];
  readonly devices: string[] = [];
  /** Where in the input the findings are from: they are told in the input's order. */
  at = 0;
  readonly #findings: Placed[] = [];
  readonly #options: ImportOptions;
  #name: { readonly input: string; readonly text: string; readonly at: number } | null = null;
  readonly #nicsAt: number[] = [];

  constructor(options: ImportOptions) {
    this.#options = options;
  }

  kept(input: string, spec: string | null, reason: string | null = null): void {
    this.#add(input, 'kept', spec, reason);
  }

  changed(input: string, spec: string | null, reason: string): void {
    this.#add(input, 'changed', spec, reason);
  }

  refused(input: string, reason: string): void {
    this.#add(input, 'refused', null, reason);
  }

  /** `changed` without anything in its place. */
  leftOut(input: string, reason: string): void {
    this.#add(input, 'changed', null, `left out: ${reason}`);
  }

  /** The name that the input has. */
  name(input: string, text: string): void {
    this.#name = { input, text, at: this.at };
  }

  /** A path of the input, absolute: a spec is read from anywhere. */
  path(file: string): string {
    return path.resolve(this.#options.base, file);
  }

  /** Adds a disk; says what its path in the spec is. */
  addDisk(disk: DiskFields): string {
    const { file, format, readonly } = disk;
    this.disks.push({
      file: this.path(file),
      ...(format !== undefined && { format }),
      ...(readonly === true && { readonly }),
    });
    return `disks[${this.disks.length - 1}]`;
  }

  /** Adds a nic; says what its path in the spec is. */
  addNic(nic: NicRequest): string {
    this.nics.push(nic);
    this.#nicsAt.push(this.at);
    return `nics[${this.nics.length - 1}]`;
  }

  addDevice(name: string): string {
    this.devices.push(name);
    return `devices: ${name}`;
  }

  /** The spec, with what was missing derived. */
  complete(): Imported {
    const name = this.#settleName();
    const nics = this.nics.map((nic, index) => this.#settleNic(name, nic, index));
    const spec: SpecFields = {
      name,
      ...this.fields,
      ...(this.disks.length > 0 && { disks: this.disks }),
      ...(nics.length > 0 && { nics }),
      ...(this.devices.length > 0 && { devices: this.devices }),
    };
    const findings = this.#findings.toSorted((a, b) => a.at - b.at).map(({ at: _, ...finding }) => finding);
    return { spec, findings };
  }

  #settleName(): string {
    const given = this.#options.name;
    const found = this.#name;
    this.at = found?.at ?? 0;
    if (given !== undefined) {
      if (found !== null) this.changed(found.input, `name: ${given}`, 'another name was asked for');
      return given;
    }
    if (found === null) {
      const disk = this.disks[0]?.file;
      const name = nameFrom(disk === undefined ? '' : path.basename(disk).replace(/\.[^.]*$/, ''));
      this.changed('(no name)', `name: ${name}`, 'a spec needs a name; choose another with --name');
      return name;
    }
    if (machineNamePattern.test(found.text)) {
      this.kept(found.input, `name: ${found.text}`);
      return found.text;
    }
    const name = nameFrom(found.text);
    this.changed(found.input, `name: ${name}`, 'a machine is called [a-z0-9][a-z0-9._-]{0,62}');
    return name;
  }

  #settleNic(name: string, nic: NicRequest, index: number): NicFields {
    const { input, backend, bridge } = nic;
    let { mac, interface: tap } = nic;
    const field = `nics[${index}]`;
    this.at = this.#nicsAt[index]!;
    if (backend === 'tap' && tap === undefined) {
      tap = derivedTap(name, index);
      const where = bridge === undefined ? 'connect it' : `put it into ${bridge}`;
      const reason = `a spec names a tap device: make it on each host, and ${where}`;
      this.changed(`${input} (no interface)`, `${field}.interface: ${tap}`, reason);
    }
    if (mac === undefined) {
      mac = derivedMac(name, index);
      const reason = "the address must be the same on every host: made from the machine's name";
      this.changed(`${input} (no mac)`, `${field}.mac: ${mac}`, reason);
    }
    return { backend, ...(tap !== undefined && { interface: tap }), mac };
  }

  #add(input: string, verdict: ImportFinding['verdict'], spec: string | null, reason: string | null): void {
    this.#findings.push({
      at: this.at,
      input: shown(input),
      verdict,
      spec: spec === null ? null : shown(spec),
      reason: reason === null ? null : shown(reason),
    });
  }
}

/** A locally administered unicast address: 02, and 40 bits of a digest of the machine's name and the nic's index. */
export function derivedMac(name: string, index: number): string {
  const digest = createHash('sha256').update(`${name}\n${index}`).digest();
  return [2, ...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A name for a tap device: at most 15 bytes, the same on every host, and another for each machine. */
function derivedTap(name: string, index: number): string {
  const plain = `${name}-${index}`;
  return plain.length <= 15 && /^[a-z0-9][a-z0-9._-]*$/.test(plain)
    ? plain
    : `tap${createHash('sha256').update(plain).digest('hex').slice(0, 10)}`;
}

/** Something that is a machine's name, as near to the text as can be. */
function nameFrom(text: string): string {
  const near = text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '');
  return near === '' ? 'machine' : near.slice(0, machineNameCharsMax);
}
