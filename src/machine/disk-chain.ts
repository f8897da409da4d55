// A disk is a chain of layers, and QEMU is told the whole of it: each layer is two block nodes (the file, and the format in
// it) whose names come from the layer's id, each with its backing node by name or with none. QEMU never follows a name that
// stands in an image: that name may be stale (layers get merged) or foreign (layers come from other hosts).
//
// Invariants: layers go bottom to top; only the top one of a writable disk is written; all others are frozen: open
// read-only, and never changed but by merging into them (src/disk/flatten.ts). What lies above another layer is qcow2.
//
// How the files are opened:
//   cache      the host's page cache, the guest's flushes kept: a layer is read again, by whoever ships it, seconds after it
//              was written, and a killed QEMU loses nothing that it has written. What is dirty there makes a stop's flush
//              long, which `presync` (disks-file.ts) is for. O_DIRECT would make each of a guest's small writes wait for the disk.
//   discard    passed on: what the guest gives back becomes a hole, and a hole is not shipped.
//   zeroes     not looked for when written (each write would pay); whoever ships leaves them out.
//   read-only  of a file follows its use (auto-read-only), so that a frozen layer is opened and locked for reading only, and
//              still can be merged into without opening it anew.

/** Where a layer's file comes from, and so what may be done with it. */
export type LayerOrigin =
  /** The file that the spec names: written while it is on top, merged into, never deleted. */
  | 'spec'
  /** A backing file beneath that one, perhaps other machines' too: only ever read. */
  | 'backing'
  /** Made by trmig, here: an overlay, or a layer that came from another host. */
  | 'made';

/** The file of a frozen layer as it was when it was read from end to end. */
export interface FrozenFile {
  readonly bytes: number;
  /** As digestFile computes it: 32 hex digits. */
  readonly digest: string;
  /** When it was last written, in ns since 1970: while that has not changed, nor has the digest. Decimal. */
  readonly mtimeNs: string;
}

export interface Layer {
  /** A UUID. It stands for what this layer adds for the guest: the same on every host, whatever the bytes of the files. */
  readonly id: string;
  /** Absolute. */
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  /** The layers above it that were merged into it, in the order of the chain: the newest of them. */
  readonly includes: readonly string[];
  readonly origin: LayerOrigin;
  /** The file lies at the same path on every host. */
  readonly shared: boolean;
  readonly frozen?: FrozenFile | undefined;
}

export interface DiskChain {
  readonly readonly: boolean;
  /** Bottom to top, at least one. */
  readonly layers: readonly Layer[];
}

/** A node of QEMU's block graph, as `-blockdev` and `blockdev-add` take it. */
export interface BlockNode {
  readonly driver: string;
  readonly 'node-name': string;
  readonly [option: string]: string | boolean | null;
}

/** QEMU's bound for a node's name is 31 characters: 24 hex digits of a random UUID are enough to tell layers apart. */
const idDigits = 24;

const digitsOf = (layerId: string): string => layerId.replaceAll('-', '').slice(0, idDigits);

/** The node of a layer as its guest or the layer above it sees it. */
export function layerNode(layerId: string): string {
  return `layer-${digitsOf(layerId)}`;
}

/** The node of a layer's file. */
export function layerFileNode(layerId: string): string {
  return `file-${digitsOf(layerId)}`;
}

/** Beneath the guest's device: what record/replay needs, and where a disk's chain hangs. */
export function replayNode(disk: number): string {
  return `disk${disk}-replay`;
}

export function topLayer(chain: DiskChain): Layer {
  return chain.layers.at(-1)!;
}

/** The file's node and the format's node of one layer, in the order in which QEMU must get them. */
export function layerNodes(
  layer: Layer,
  options: { readonly readonly: boolean; readonly backing: string | null },
): BlockNode[] {
  return [
    {
      // The files of block devices need a driver of their own.
      driver: layer.file.startsWith('/dev/') ? 'host_device' : 'file',
      'node-name': layerFileNode(layer.id),
      filename: layer.file,
      'auto-read-only': true,
      discard: 'unmap',
    },
    formatNode(layer, options),
  ];
}

/** The format's node of a layer; `blockdev-reopen` takes it too, to give it another backing node. */
export function formatNode(
  layer: Layer,
  { readonly, backing }: { readonly readonly: boolean; readonly backing: string | null },
): BlockNode {
  return {
    driver: layer.format,
    'node-name': layerNode(layer.id),
    file: layerFileNode(layer.id),
    'read-only': readonly,
    discard: 'unmap',
    // Said even when there is none, or QEMU would look into the image for a name.
    ...(layer.format === 'qcow2' && { backing }),
  };
}

/** A whole chain's nodes, bottom to top; with `topOnly` the top layer's alone, with nothing beneath it. */
export function chainNodes(chain: DiskChain, options: { readonly topOnly?: boolean } = {}): BlockNode[] {
  const layers = options.topOnly ? [topLayer(chain)] : chain.layers;
  return layers.flatMap((layer, i) =>
    layerNodes(layer, {
      readonly: chain.readonly || layer !== topLayer(chain),
      backing: i === 0 ? null : layerNode(layers[i - 1]!.id),
    }),
  );
}

/** QEMU's arguments for a disk: its chain, the replay layer on it, the guest's device. */
export function diskArguments(chain: DiskChain, disk: number, options: { readonly topOnly?: boolean } = {}): string[] {
  const replay: BlockNode = {
    driver: 'blkreplay',
    'node-name': replayNode(disk),
    image: layerNode(topLayer(chain).id),
    'read-only': chain.readonly,
  };
  return [
    ...[...chainNodes(chain, options), replay].flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    ...['-device', `virtio-blk-pci,id=disk${disk}-device,drive=${replayNode(disk)},ioeventfd=off`],
  ];
}
