// What a running QEMU itself says about its disks: the layers under each, top to bottom, and the nodes that it has. It is the
// graph of nodes, not the images' names: names may be stale, and QEMU lets several nodes have one file.
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { replayNode, type QmpClient } from '../machine/index.js';

const graphSchema = z.object({
  nodes: z.array(z.object({ id: z.number(), type: z.string(), name: z.string() })),
  edges: z.array(z.object({ parent: z.number(), child: z.number(), name: z.string() })),
});

export interface BlockGraph {
  /** For each disk, the nodes of its layers, top to bottom, without the filters that jobs put between them. */
  readonly disks: readonly (readonly string[])[];
  /** The names of all nodes, also of those under no disk. */
  readonly nodes: ReadonlySet<string>;
}

/** Asks QEMU. @throws E_DISKS when it has no such disk, E_QMP_* */
export async function readBlockGraph(
  qmp: QmpClient,
  diskCount: number,
  options: { readonly signal?: AbortSignal } = {},
): Promise<BlockGraph> {
  // A command that QEMU calls unstable; src/machine launches one line of QEMU, whose reply this is.
  const { nodes, edges } = await qmp.query('x-debug-query-block-graph', graphSchema, undefined, options);
  const states = new Map(nodes.filter(({ type }) => type === 'block-driver').map(({ id, name }) => [id, name]));
  const beneath = (id: number): number | undefined => {
    const children = edges.filter(({ parent }) => parent === id);
    const filtered = states.get(id)?.startsWith('layer-') ? ['backing'] : ['image', 'backing', 'file'];
    return filtered.flatMap((name) => children.filter((edge) => edge.name === name)).at(0)?.child;
  };
  const disks = Array.from({ length: diskCount }, (_, disk) => {
    const root = [...states].find(([, name]) => name === replayNode(disk))?.[0];
    if (root === undefined) throw new TrmigError('E_DISKS', `QEMU has no disk ${disk}`, { facts: { disk } });
    const layers: string[] = [];
    // Bounded by the nodes there are: the graph has no cycle, but it comes from outside.
    for (let at = beneath(root), left = states.size; at !== undefined && left > 0; at = beneath(at), left--) {
      const name = states.get(at);
      if (name?.startsWith('layer-')) layers.push(name);
    }
    return layers;
  });
  return { disks, nodes: new Set(states.values()) };
}

/** Adds a node. @throws E_QMP_* */
export async function addNode(qmp: QmpClient, node: object, signal?: AbortSignal): Promise<void> {
  await qmp.execute('blockdev-add', node, { signal });
}

/** Takes a node away if it is there. @throws E_QMP_COMMAND while something uses it */
export async function deleteNodes(qmp: QmpClient, names: readonly string[], graph: BlockGraph): Promise<void> {
  for (const name of names) {
    if (graph.nodes.has(name)) await qmp.execute('blockdev-del', { 'node-name': name });
  }
}
