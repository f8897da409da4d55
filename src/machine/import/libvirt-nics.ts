// A domain's network interfaces. What libvirt does on the host for one (a network, a bridge, a filter) is not the machine's: a
// spec names a tap device, which is connected to the same on each host beforehand.
import type { Draft } from './draft.js';
import { backendReason, bridgeReason, importNic, type NicBackend } from './nic.js';
import { deviceAdvice } from './profile-reason.js';
import type { XmlElement } from './xml.js';

const hostSide = [
  'alias',
  'address',
  'driver',
  'bandwidth',
  'virtualport',
  'tune',
  'coalesce',
  'script',
  'downscript',
  'rom',
  'backend',
  'guest',
  'acpi',
];

/** Adds a nic. */
export function importDomainNic(draft: Draft, element: XmlElement): void {
  const type = element.attribute('type') ?? '';
  const mac = element.childAttribute('mac', 'address');
  // libvirt's own default on a PC.
  const model = element.childAttribute('model', 'type') ?? 'rtl8139';
  const target = element.childAttribute('target', 'dev');
  const managed = element.childAttribute('target', 'managed');
  element.child('mac')?.readWhole();
  for (const name of hostSide) {
    const child = element.child(name);
    if (child === undefined) continue;
    child.readWhole();
    if (name !== 'alias' && name !== 'address')
      draft.leftOut(child.summary(), "how the host connects it is trmig's default");
  }
  const order = element.child('boot');
  if (order !== undefined) {
    order.readWhole();
    draft.leftOut(order.summary(), 'a machine does not boot from a network: the firmware boots from the first disk');
  }
  const source = element.child('source');
  const backend = backendOf(type, source, target);
  if (backend === null) {
    element.readWhole();
    const reason =
      type === 'hostdev' ? deviceAdvice('vfio-pci') : /^(vhost|vdpa)/.test(type) ? deviceAdvice('vhost-user') : null;
    draft.refused(element.summary(), reason ?? backendReason);
    return;
  }
  source?.readWhole();
  importNic(draft, `${element.path} ${type} ${model}`, model, mac, backend);
  if (managed !== undefined)
    draft.leftOut(`${element.path}/target/@managed=${managed}`, 'the tap device is there beforehand');
}

function backendOf(type: string, source: XmlElement | undefined, target: string | undefined): NicBackend | null {
  // Names that libvirt gives by itself are not kept by it, either.
  const tap = target === undefined || /^(vnet|vif|macvtap|macvlan)\d/.test(target) ? undefined : target;
  if (type === 'ethernet') return { backend: 'tap', interface: tap, change: null };
  if (type === 'bridge') {
    return {
      backend: 'tap',
      interface: tap,
      bridge: `bridge ${source?.attribute('bridge') ?? ''}`,
      change: bridgeReason,
    };
  }
  if (type === 'network') {
    const name = source?.attribute('network') ?? 'default';
    return { backend: 'tap', interface: tap, bridge: `the bridge of libvirt's network ${name}`, change: bridgeReason };
  }
  if (type === 'direct') {
    const on = `a bridge on ${source?.attribute('dev') ?? 'the host'}`;
    return { backend: 'tap', bridge: on, change: bridgeReason };
  }
  if (type === 'user') return { backend: 'user', change: null };
  return null;
}
