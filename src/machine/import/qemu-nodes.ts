// Block graphs: `-blockdev` nodes that name each other, from the node that a device has down to the file.
import { importDepthMax } from '../../limits.js';
import { cachingOption } from './disk-source.js';
import { isOn, type OptionString } from './option-string.js';
import type { DriveDefinition, QemuState } from './qemu-state.js';

export interface FoundNode {
  readonly file: string;
  readonly format: string;
  readonly readonly: boolean;
  /** Options of all nodes on the way that a spec has nothing for: those of caching, and all others. */
  readonly caching: readonly string[];
  readonly others: readonly string[];
  /** The nodes that were named on the way. */
  readonly path: readonly DriveDefinition[];
}

export type NodeResult = FoundNode | { readonly refusal: string; readonly path: readonly DriveDefinition[] };

const formats = ['raw', 'qcow2'];
const files = ['file', 'host_device', 'host_cdrom'];
/** Nodes that only look at what passes. */
const filters = ['throttle', 'copy-on-read', 'blkreplay', 'preallocate'];

/** Follows a node to its file. */
export function resolveNode(state: QemuState, name: string): NodeResult {
  const caching: string[] = [];
  const others: string[] = [];
  const path: DriveDefinition[] = [];
  let [format, readonly] = ['raw', false];
  let node: string | undefined = name;
  // An inline child is the same option string with a prefix.
  let [options, prefix]: [OptionString | undefined, string] = [undefined, ''];
  for (let depth = 0; depth < importDepthMax; depth++) {
    if (node !== undefined) {
      const definition = state.nodes.get(node);
      if (definition === undefined) return { refusal: `there is no -blockdev ${node}`, path };
      definition.used = true;
      path.push(definition);
      [options, prefix] = [definition.options, ''];
    }
    const here = options!;
    const take = (key: string): string | undefined => here.take(prefix + key);
    const driver: string = take('driver') ?? '';
    readonly ||= isOn(take('read-only'));
    take('node-name');
    if (files.includes(driver)) {
      const file = take('filename');
      leftovers(here, caching, others);
      return file === undefined
        ? { refusal: 'it has no file', path }
        : { file, format, readonly, caching, others, path };
    }
    if (formats.includes(driver)) {
      if (driver !== 'raw') format = driver;
    } else if (filters.includes(driver)) caching.push(`driver=${driver}`);
    else if (driver === '') return { refusal: 'it has no driver', path };
    else return { refusal: `trmig knows raw and qcow2 in files, not ${driver}`, path };
    const child = driver === 'blkreplay' ? 'image' : 'file';
    node = take(child);
    if (node === undefined && !here.has(`${prefix}${child}.driver`))
      return { refusal: `its ${driver} node has no ${child}`, path };
    if (node !== undefined) leftovers(here, caching, others);
    else prefix += `${child}.`;
  }
  return { refusal: 'its nodes go round in a circle', path };
}

function leftovers(options: OptionString, caching: string[], others: string[]): void {
  caching.push(
    ...options.takeAll(cachingOption),
    ...options.takeAll(/(^|\.)(cache\.[a-z-]+|aio|discard|detect-zeroes)$/),
  );
  others.push(...options.takeAll(/./));
}
