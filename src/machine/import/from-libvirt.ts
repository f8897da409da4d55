// A libvirt domain as a machine spec.
//
// Invariant: pure; every element, attribute and text of the domain is in a finding, or belongs to an element that is. What no
// rule has read is refused by its path.
import { TrmigError } from '../../errors.js';
import { Draft } from './draft.js';
import type { ImportOptions, Imported } from './finding.js';
import { applyArguments, checkLength } from './from-qemu.js';
import { domainElements, importDomainType } from './libvirt-board.js';
import { importDevices } from './libvirt-devices.js';
import { newState } from './qemu-state.js';
import { parseXml, type XmlElement } from './xml.js';

export interface LibvirtOptions extends ImportOptions {
  /** What the text is called in messages, usually its path. */
  readonly source: string;
}

/**
 * Reads a domain's XML.
 * @throws E_IMPORT when it is no XML or no domain, E_USAGE when it is too long
 */
export function importLibvirt(text: string, options: LibvirtOptions): Imported {
  checkLength(Buffer.byteLength(text));
  const root = parseXml(text, options.source);
  const domain = root.name === 'domain' ? root : root.name === 'domstatus' ? root.child('domain') : undefined;
  if (domain === undefined) {
    throw new TrmigError('E_IMPORT', `${options.source}: its root is <${root.name.slice(0, 40)}>, not <domain>`, {
      hint: 'Give the XML of a libvirt domain, as `virsh dumpxml --inactive NAME` prints it.',
      facts: { source: options.source },
    });
  }
  const draft = new Draft(options);
  domain.attribute('id');
  importDomainType(draft, domain.attribute('type') ?? '');
  for (const element of domain.children()) {
    draft.at += 1;
    if (element.name === 'devices') importDevices(draft, element);
    else if (element.name === 'qemu:commandline') commandLine(draft, element);
    else if (Object.hasOwn(domainElements, element.name)) domainElements[element.name]!(draft, element);
    else {
      element.readWhole();
      draft.refused(element.summary(), 'a spec has no field for it');
    }
  }
  for (const unread of domain.unread()) draft.refused(unread, 'a spec has no field for it');
  return draft.complete();
}

/** Arguments that the domain's author wanted QEMU to have besides. */
function commandLine(draft: Draft, element: XmlElement): void {
  const state = newState(draft);
  state.nodefaults = true;
  state.netSaid = true;
  state.serialPorts = draft.fields.console === 'serial' ? 1 : 0;
  const words = element.children('qemu:arg').map((argument) => argument.attribute('value') ?? '');
  applyArguments(state, words, 'qemu:commandline ');
  for (const variable of element.children('qemu:env')) {
    variable.readWhole();
    draft.refused(variable.summary(), 'a machine has no environment of its own');
  }
}
