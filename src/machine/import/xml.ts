// XML as a tree that knows what was read of it: a libvirt domain has many elements, and what trmig does not know must be told,
// not dropped. The parsing is fast-xml-parser's; entities are not expanded by it, and a DOCTYPE, which could define some, is
// refused, since libvirt writes none.
//
// Invariants: bounded in bytes and depth before anything is built; only XML's own five entities and character references are
// resolved; every element, attribute and text that nobody took is in unread().
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { TrmigError } from '../../errors.js';
import { importDepthMax } from '../../limits.js';

export class XmlElement {
  readonly #attributes: ReadonlyMap<string, string>;
  readonly #children: readonly XmlElement[];
  readonly #text: string;
  readonly #taken = new Set<string>();
  #seen = false;
  #textTaken = false;

  constructor(
    readonly name: string,
    /** An XPath below the root: `devices/disk[2]`. */
    readonly path: string,
    content: {
      readonly attributes: ReadonlyMap<string, string>;
      readonly children: readonly XmlElement[];
      readonly text: string;
    },
  ) {
    this.#attributes = content.attributes;
    this.#children = content.children;
    this.#text = content.text;
  }

  /** An attribute's value, which counts as read from now on. */
  attribute(name: string): string | undefined {
    this.#taken.add(name);
    return this.#attributes.get(name);
  }

  /** The text directly in it. */
  text(): string {
    this.#textTaken = true;
    return this.#text;
  }

  /** The first child of that name, or an attribute of it where `attribute` is given. */
  child(name: string): XmlElement | undefined {
    const found = this.#children.find((child) => child.name === name);
    if (found !== undefined) found.#seen = true;
    return found;
  }

  /** All children of that name; all there are without one. */
  children(name?: string): XmlElement[] {
    const found = this.#children.filter((child) => name === undefined || child.name === name);
    for (const child of found) child.#seen = true;
    return found;
  }

  /** An attribute of a child. */
  childAttribute(name: string, attribute: string): string | undefined {
    return this.child(name)?.attribute(attribute);
  }

  /** Counts it as read, with all that is in it. */
  readWhole(): void {
    this.#seen = true;
    this.#textTaken = true;
    for (const name of this.#attributes.keys()) this.#taken.add(name);
    for (const child of this.#children) child.readWhole();
  }

  /** It in short: its path, its attributes, its text. */
  summary(): string {
    const attributes = [...this.#attributes].map(([name, value]) => ` ${name}=${value}`).join('');
    return `${this.path}${attributes}${this.#text === '' ? '' : ` ${this.#text}`}`;
  }

  /** What nobody has read, each as a path with its value. An element that nobody looked at is told whole. */
  *unread(): Generator<string> {
    for (const [name, value] of this.#attributes) {
      if (!this.#taken.has(name) && !name.startsWith('xmlns')) yield `${this.path}/@${name}=${value}`;
    }
    if (!this.#textTaken && this.#text !== '') yield `${this.path} ${this.#text}`;
    for (const child of this.#children) {
      if (child.#seen) yield* child.unread();
      else yield child.summary();
    }
  }
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  processEntities: false,
  htmlEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  cdataPropName: '#cdata',
  maxNestedTags: importDepthMax,
});

/** An element as the parser has it: the name with the children, and `:@` with the attributes. */
type RawNode = Readonly<Record<string, unknown>>;

/**
 * Reads a document; the text has at most importBytesMax bytes.
 * @throws E_IMPORT when it is no XML, has a DOCTYPE, or nests too deeply
 */
export function parseXml(text: string, source: string): XmlElement {
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw notXml(source, 'it has a DOCTYPE, and a libvirt domain has none');
  let nodes: unknown;
  try {
    // Its successor is a package of its own, with more packages behind it; this one comes with the parser.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    const valid = XMLValidator.validate(text);
    if (valid !== true) {
      throw notXml(source, `line ${valid.err.line}: ${valid.err.msg.slice(0, 200)}`);
    }
    nodes = parser.parse(text);
  } catch (cause) {
    if (cause instanceof TrmigError) throw cause;
    throw notXml(source, cause instanceof Error ? cause.message.slice(0, 200) : String(cause), cause);
  }
  const [root] = (Array.isArray(nodes) ? (nodes as RawNode[]) : []).filter((node) => nameOf(node) !== null);
  if (root === undefined) throw notXml(source, 'it is empty');
  return build(root, nameOf(root)!, '', 0, source);
}

function build(node: RawNode, name: string, path: string, depth: number, source: string): XmlElement {
  if (depth > importDepthMax) throw notXml(source, 'it nests too deeply to be a libvirt domain');
  const inner = (Array.isArray(node[name]) ? node[name] : []) as RawNode[];
  const counts = new Map<string, number>();
  for (const child of inner) {
    const childName = nameOf(child);
    if (childName !== null) counts.set(childName, (counts.get(childName) ?? 0) + 1);
  }
  const seen = new Map<string, number>();
  const children: XmlElement[] = [];
  let text = '';
  for (const child of inner) {
    text += textOf(child);
    const childName = nameOf(child);
    if (childName === null) continue;
    const index = (seen.get(childName) ?? 0) + 1;
    seen.set(childName, index);
    const step = counts.get(childName) === 1 ? childName : `${childName}[${index}]`;
    children.push(build(child, childName, path === '' ? step : `${path}/${step}`, depth + 1, source));
  }
  const attributes = new Map(
    Object.entries((node[':@'] ?? {}) as Record<string, unknown>).map(([key, value]) => [key, decode(String(value))]),
  );
  return new XmlElement(name, path, { attributes, children, text: text.trim() });
}

function nameOf(node: RawNode): string | null {
  return Object.keys(node).find((key) => key !== ':@' && !key.startsWith('#')) ?? null;
}

function textOf(node: RawNode): string {
  if (typeof node['#text'] === 'string') return decode(node['#text']);
  // CDATA is text as it stands.
  const [first] = Array.isArray(node['#cdata']) ? (node['#cdata'] as RawNode[]) : [];
  return typeof first?.['#text'] === 'string' ? first['#text'] : '';
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** XML's five entities and character references; others stay as they are. */
function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/gi, (whole, hex, decimal, name) => {
    if (typeof name === 'string') return entities[name] ?? whole;
    const code = typeof hex === 'string' ? parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}

function notXml(source: string, why: string, cause?: unknown): TrmigError {
  return new TrmigError('E_IMPORT', `${source}: ${why}`, {
    cause,
    hint: 'Give the XML of a libvirt domain, as `virsh dumpxml --inactive NAME` prints it.',
    facts: { source },
  });
}
